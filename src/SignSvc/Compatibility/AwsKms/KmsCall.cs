using System.Globalization;
using SignSvc.Signing.Access;
using SignSvc.Signing.Keys;

namespace SignSvc.Compatibility.AwsKms;

/// <summary>One operation that an authenticated caller asks for.</summary>
/// <param name="Operation">As AWS calls it: <c>CancelKeyDeletion</c>.</param>
/// <param name="Region">What the client calls the region; ARNs in answers have it.</param>
internal sealed record KmsCall(Caller Caller, string Operation, string Region, ClientJson Parameters, CancellationToken CancellationToken)
{
    private const int MaxTextLength = 8192;

    /// <summary>The key that was named last, for the words of a refusal.</summary>
    public string? KeyReference { get; private set; }

    /// <summary>The alias that was to be made, moved or deleted, for the words of a refusal.</summary>
    public string? AliasReference { get; private set; }

    /// <summary>The audit record of what was signed.</summary>
    public string? AuditId { get; set; }

    public string? Text(string member)
    {
        var text = Parameters.Text(member);
        return text is { Length: > MaxTextLength }
            ? throw KmsException.OutOfBounds(member, text, "length", isTooSmall: false, 0, MaxTextLength)
            : text;
    }

    public string Required(string member) => Text(member) is { Length: > 0 } text ? text : throw KmsException.Missing(member);

    public byte[] Bytes(string member, int max)
    {
        var bytes = Parameters.Bytes(member) ?? throw KmsException.Missing(member);
        return bytes.Length >= 1 && bytes.Length <= max
            ? bytes
            : throw KmsException.OutOfBounds(member, value: null, "length", bytes.Length < 1, 1, max);
    }

    public int Number(string member, int usual, int min, int max)
    {
        var number = Parameters.Number(member) ?? usual;
        return number >= min && number <= max
            ? number
            : throw KmsException.OutOfBounds(member, number.ToString(CultureInfo.InvariantCulture), "value", number < min, min, max);
    }

    /// <summary>An id, an alias, or the ARN of either.</summary>
    public string Key(string member = "KeyId") => KeyReference = KeyNames.Parse(Required(member), Region);

    /// <summary>An id or its ARN: what changes a key does not take an alias, because it may move meanwhile.</summary>
    public string KeyNoAlias(string member = "KeyId") => KeyReference = KeyNames.Parse(Required(member), Region, mayBeAlias: false);

    /// <summary><c>alias/NAME</c>, without the prefix.</summary>
    public string Alias() => AliasReference = KeyNames.ParseAlias(Required("AliasName"));

    /// <summary>One of KMS's own names.</summary>
    public SigningAlgorithm Algorithm()
    {
        var name = Required("SigningAlgorithm");
        return SigningAlgorithm.TryParse(name, out var algorithm) && string.Equals(algorithm.KmsName, name, StringComparison.Ordinal)
            ? algorithm
            : throw KmsException.Constraint("SigningAlgorithm", name, $"satisfy enum value set: [{string.Join(", ", SigningAlgorithm.All.Select(a => a.KmsName))}]");
    }

    /// <summary>What has no meaning here is refused rather than ignored.</summary>
    public void RefuseGrantsAndDryRuns()
    {
        if (Parameters.Texts("GrantTokens") is { Count: > 0 })
            throw new KmsException("InvalidGrantTokenException", "SignSvc has no grant tokens.");
        if (Parameters.Flag("DryRun") == true)
            throw KmsException.Unsupported("SignSvc has no DryRun.");
    }
}
