using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using SignSvc.Backends.Pkcs11.Cryptoki;
using SignSvc.Signing;

namespace SignSvc.Backends.Pkcs11;

/// <summary>
/// Names an object on a token: <c>id:</c> with its CKA_ID in hex, or <c>label:</c> with its CKA_LABEL. As a handle it
/// is always written with its prefix; where an operator names a key to adopt, the prefix of a label may be left out.
/// </summary>
internal sealed record KeyReference
{
    private const string IdPrefix = "id:";
    private const string LabelPrefix = "label:";
    private const int LongestValue = 1_024;

    private static readonly SearchValues<char> HexDigits = SearchValues.Create("0123456789abcdefABCDEF");

    private readonly byte[]? _id;
    private readonly string? _label;

    private KeyReference(byte[]? id, string? label)
    {
        _id = id;
        _label = label;
    }

    public bool IsId => _id is not null;

    public static KeyReference Id(byte[] id) => new(id, label: null);

    public static KeyReference Label(string label) => new(id: null, label);

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>.</exception>
    public static KeyReference Parse(string reference)
    {
        if (TryParseHandle(reference, out var parsed))
            return parsed;
        return reference.StartsWith(IdPrefix, StringComparison.Ordinal) || reference.Length is 0 or > LongestValue
            ? throw new SigningException(SigningFault.InvalidRequest, "Name the key by its label, or as id: with its CKA_ID in hex.")
            : Label(reference);
    }

    public static bool TryParseHandle(string handle, [NotNullWhen(true)] out KeyReference? reference)
    {
        reference = null;
        if (handle.Length > LongestValue)
            return false;
        if (handle.StartsWith(LabelPrefix, StringComparison.Ordinal) && handle.Length > LabelPrefix.Length)
        {
            reference = Label(handle[LabelPrefix.Length..]);
            return true;
        }

        var hex = handle.AsSpan(Math.Min(IdPrefix.Length, handle.Length));
        if (!handle.StartsWith(IdPrefix, StringComparison.Ordinal) || hex.IsEmpty || hex.Length % 2 != 0
            || hex.ContainsAnyExcept(HexDigits))
        {
            return false;
        }

        reference = Id(Convert.FromHexString(hex));
        return true;
    }

    public void AddTo(Template template) =>
        _ = _id is not null ? template.With(CKA_ID, _id) : template.With(CKA_LABEL, _label!);

    public override string ToString() =>
        _id is not null ? IdPrefix + Convert.ToHexStringLower(_id) : LabelPrefix + _label;
}
