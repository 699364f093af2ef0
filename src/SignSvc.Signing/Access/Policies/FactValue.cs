using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Runtime.InteropServices;
using System.Text.Json;
using SignSvc.Signing.Artifacts;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Access.Policies;

/// <summary>One value of a fact: a text, a number or a time, read as what the operator needs.</summary>
internal readonly struct FactValue
{
    /// <summary>Enough for every number and time as text.</summary>
    public const int TextBuffer = 64;

    private readonly string? _text;
    private readonly long _number;
    private readonly DateTimeOffset? _time;

    public FactValue(string text) => _text = text;

    public FactValue(long number) => _number = number;

    public FactValue(DateTimeOffset time) => _time = time;

    /// <param name="buffer">Of <see cref="TextBuffer"/> characters; used where the value is no text.</param>
    public ReadOnlySpan<char> Text(Span<char> buffer)
    {
        if (_text is not null)
            return _text;
        int length;
        if (_time is { } time)
            time.ToUniversalTime().TryFormat(buffer, out length, "yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
        else
            _number.TryFormat(buffer, out length, provider: CultureInfo.InvariantCulture);
        return buffer[..length];
    }

    public bool TryGetNumber(out decimal number)
    {
        number = _time?.ToUnixTimeSeconds() ?? _number;
        return _text is null
            || decimal.TryParse(_text, NumberStyles.Float, CultureInfo.InvariantCulture, out number);
    }

    public bool TryGetTime(out DateTimeOffset time)
    {
        time = _time ?? default;
        if (_time is not null)
            return true;
        return _text is null ? Moments.TryRead(_number, out time) : Moments.TryParse(_text, out time);
    }

    public bool TryGetAddress(out UInt128 address)
    {
        address = default;
        return _text is not null && Network.TryReadAddress(_text, out address, out _);
    }

    public override string ToString() => Text(stackalloc char[TextBuffer]).ToString();
}

/// <summary>All values of one fact. Empty: it is missing.</summary>
internal readonly struct FactValues
{
    private readonly FactValue _single;
    private readonly ImmutableArray<string> _many;
    private readonly IReadOnlyList<string>? _list;

    private FactValues(FactValue single) => (_single, Count) = (single, 1);

    private FactValues(ImmutableArray<string> many) => (_many, Count) = (many, many.Length);

    private FactValues(IReadOnlyList<string> list) => (_list, Count) = (list, list.Count);

    public int Count { get; }

    public FactValue this[int index] => _list is not null
        ? new FactValue(_list[index])
        : _many.IsDefault ? _single : new FactValue(_many[index]);

    public static FactValues Of(Fact fact, in AccessRequest request)
    {
        var facts = request.Facts;
        return fact.Kind switch
        {
            FactKind.CallerPrincipal => Of(request.Caller.Principal),
            FactKind.CallerClaim => request.Caller.Claims.TryGetValue(fact.Member, out var claim) ? new FactValues(claim) : default,
            FactKind.ArtifactType => Of(facts.Context?.Artifact?.Type),
            FactKind.ArtifactName => OfArtifacts(facts.Context, static a => a.Name),
            FactKind.ArtifactUri => Of(facts.Context?.Artifact?.Uri),
            FactKind.ArtifactDigest => OfArtifacts(facts.Context, static a => a.Digest),
            FactKind.PredicateType => Of(facts.Context?.PredicateType),
            FactKind.Repository => Of(facts.Context?.Repository),
            FactKind.Commit => Of(facts.Context?.Commit),
            FactKind.Ref => Of(facts.Context?.Ref),
            FactKind.Run => Of(facts.Context?.Run),
            FactKind.TokenProfile => Of(facts.Token.Order?.Profile),
            FactKind.TokenAudience => facts.Token.Order is { Request.Audiences: { Count: > 0 } audiences }
                ? new FactValues(audiences)
                : facts.Token.Order is null ? default : Of(facts.Token.DefaultAudience),
            FactKind.TokenLifetime => Of(facts.Token.LifetimeSeconds),
            FactKind.TokenSubject => Of(facts.Token.Subject),
            FactKind.TokenClaim => facts.Token.Order?.Request.Claims is { } claims ? new FactValues(ClaimValues(claims, fact.Member)) : default,
            FactKind.KeyName => Of(facts.Key?.Name),
            FactKind.KeyId => Of(facts.Key?.Id),
            FactKind.KeyTier => Of(facts.Key?.Tier switch { KeyTier.Assured => "assured", KeyTier.Volume => "volume", _ => null }),
            FactKind.KeyPurpose => Of(facts.Key?.Purpose switch { KeyPurpose.Artifacts => "artifacts", KeyPurpose.Tokens => "tokens", _ => null }),
            FactKind.KeySpec => Of(facts.Key?.Spec.Name),
            FactKind.KeyOwner => Of(facts.Key?.Owner),
            FactKind.KeyProtection => Of(ProtectionOf(facts.Key)),
            FactKind.KeyTag => Of(facts.Key?.Tags.GetValueOrDefault(fact.Member)),
            FactKind.Time => new FactValues(new FactValue(request.At)),
            FactKind.Address => Of(request.Caller.Address),
            FactKind.Bytes => Of(facts.Bytes),
            FactKind.Count => Of(facts.Count),
            _ => default,
        };
    }

    /// <summary>Of a statement, one value for each of its subjects: an allow holds only if all fit. One that has none fits nothing.</summary>
    private static FactValues OfArtifacts(SigningContext? context, Func<ArtifactFacts, string?> read) =>
        context?.Subjects is { Length: > 0 } subjects
            ? new FactValues(ImmutableArray.CreateRange(subjects, s => read(s) ?? ""))
            : Of(context?.Artifact is { } artifact ? read(artifact) : null);

    private static FactValues Of(string? text) => text is null ? default : new FactValues(new FactValue(text));

    private static FactValues Of(long? number) => number is null ? default : new FactValues(new FactValue(number.Value));

    /// <summary>Without LINQ: it is asked for in the course of signing.</summary>
    private static string? ProtectionOf(Key? key)
    {
        if (key is null)
            return null;
        var weakest = key.Versions.IsEmpty ? Protection.Software : Protection.Hsm;
        foreach (var version in key.Versions)
            weakest = version.Protection < weakest ? version.Protection : weakest;
        return weakest switch { Protection.Hsm => "hsm", Protection.Kms => "kms", _ => "software" };
    }

    /// <summary>
    /// Every value that a reader of the token could find under the name: nested names are joined with dots, and a name may
    /// itself hold dots.
    /// </summary>
    private static List<string> ClaimValues(JsonElement claims, string name)
    {
        var values = new List<string>();
        Collect(claims, name, values);
        return values;
    }

    private static void Collect(JsonElement json, ReadOnlySpan<char> name, List<string> values)
    {
        foreach (var member in json.EnumerateObject())
        {
            if (name.SequenceEqual(member.Name))
                Add(member.Value, values);
            else if (member.Value.ValueKind == JsonValueKind.Object && name.StartsWith($"{member.Name}."))
                Collect(member.Value, name[(member.Name.Length + 1)..], values);
        }
    }

    private static void Add(JsonElement value, List<string> values)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Null:
                break;
            case JsonValueKind.String:
                values.Add(value.GetString()!);
                break;
            case JsonValueKind.Array:
                foreach (var item in value.EnumerateArray())
                    values.Add(item.ValueKind == JsonValueKind.String ? item.GetString()! : item.GetRawText());
                break;
            default:
                values.Add(value.GetRawText());
                break;
        }
    }
}

/// <summary>RFC 3339 dates and times, and seconds since 1970.</summary>
internal static class Moments
{
    private static readonly string[] Forms =
    [
        "yyyy-MM-dd'T'HH:mm:ssK", "yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK", "yyyy-MM-dd'T'HH:mmK", "yyyy-MM-dd",
    ];

    public static bool TryParse(string text, out DateTimeOffset time)
    {
        if (long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var seconds))
            return TryRead(seconds, out time);
        return DateTimeOffset.TryParseExact(
            text, Forms, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out time);
    }

    /// <param name="seconds">Since 1970.</param>
    public static bool TryRead(long seconds, out DateTimeOffset time)
    {
        var isTime = seconds is >= 0 and < 253_402_300_800;
        time = isTime ? DateTimeOffset.FromUnixTimeSeconds(seconds) : default;
        return isTime;
    }
}

/// <summary>An IPv4 or IPv6 network. An IPv4 address in IPv6 clothes (<c>::ffff:192.0.2.1</c>) is that IPv4 address.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct Network(UInt128 Address, UInt128 Mask)
{
    public bool Contains(UInt128 address) => (address & Mask) == Address;

    public static bool TryParse(string text, out Network network)
    {
        network = default;
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        if (!TryReadAddress(slash < 0 ? text : text.AsSpan(0, slash), out var address, out var isV4))
            return false;
        var bits = isV4 ? 32 : 128;
        var length = bits;
        if (slash >= 0 && (!int.TryParse(text.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out length) || length > bits))
            return false;
        var host = bits - length;
        var mask = host == 128 ? UInt128.Zero : UInt128.MaxValue << host;
        network = new Network(address & mask, mask);
        // Host bits are a slip of the pen, and the wider network would be a surprise.
        return (address & mask) == address;
    }

    public static bool TryReadAddress(ReadOnlySpan<char> text, out UInt128 address, out bool isV4)
    {
        address = default;
        isV4 = false;
        if (!IPAddress.TryParse(text, out var ip))
            return false;
        isV4 = ip.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork;
        // 10, 0x0a.0.0.1 and 010.0.0.1 are addresses to some readers and others to others.
        Span<char> usual = stackalloc char[48];
        if (isV4 && !(ip.TryFormat(usual, out var length) && text.SequenceEqual(usual[..length])))
            return false;
        Span<byte> bytes = stackalloc byte[16];
        (isV4 ? ip.MapToIPv6() : ip).TryWriteBytes(bytes, out _);
        address = System.Buffers.Binary.BinaryPrimitives.ReadUInt128BigEndian(bytes);
        return true;
    }
}
