using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace SignSvc.Signing.Tokens;

/// <summary>What JSON type a claim has.</summary>
[SuppressMessage("Naming", "CA1720:Identifier contains type name", Justification = "These are JSON's types, and the names stand in profiles.")]
public enum ClaimType
{
    Any,
    String,
    Integer,
    Number,
    Boolean,
    Array,
    Object,
}

/// <summary>What one claim may be; what is null is not asked for.</summary>
/// <param name="Pattern">A regular expression that a string, or every string of an array, matches from begin to end. It has no lookaround and no backreferences, so that matching takes time in proportion to the text.</param>
/// <param name="Values">The texts that a string, or every string of an array, may be.</param>
/// <param name="Forbidden">The claim must not be there at all.</param>
public sealed record ClaimRule(
    ClaimType Type = ClaimType.Any, string? Pattern = null, ImmutableArray<string>? Values = null, bool Forbidden = false)
{
    private const int MaxPatternLength = 256;
    private const int MaxValues = 256;

    /// <summary>Compiled patterns; bounded, because whoever may put profiles writes patterns.</summary>
    private const int RememberedPatterns = 1024;

    private static readonly ConcurrentDictionary<string, Regex> Compiled = new(StringComparer.Ordinal);

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>.</exception>
    public void Check(string claim)
    {
        if (!Enum.IsDefined(Type))
            throw Invalid($"The rule of the claim {claim} has an unknown type.");
        if (Values is { } values && (values.IsDefault || values.Length is 0 or > MaxValues || values.Any(v => v is not { Length: <= TokenRequest.MaxTextLength })))
            throw Invalid($"The rule of the claim {claim} has from 1 to {MaxValues} values of at most {TokenRequest.MaxTextLength} characters.");
        if ((Pattern is not null || Values is not null) && Type is not (ClaimType.Any or ClaimType.String or ClaimType.Array))
            throw Invalid($"The rule of the claim {claim} has a pattern or values, which are for strings and arrays.");
        if (Pattern is null)
            return;
        if (Pattern.Length > MaxPatternLength)
            throw Invalid($"The pattern of the claim {claim} has more than {MaxPatternLength} characters.");
        try
        {
            _ = Compile(Pattern);
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            throw new SigningException(
                SigningFault.InvalidRequest, $"The pattern of the claim {claim} is no regular expression, or uses lookaround or backreferences.", e);
        }
    }

    /// <summary>Why the value breaks the rule; null where it keeps it.</summary>
    public string? Fault(string claim, JsonElement value)
    {
        if (Forbidden)
            return $"The claim {claim} must not be there.";
        if (!HasType(value))
            return string.Create(CultureInfo.InvariantCulture, $"The claim {claim} is of the type {Type.ToString().ToLowerInvariant()}.");
        if (Pattern is null && Values is null)
            return null;
        return Texts(value) is { } texts && texts.All(IsAllowed)
            ? null
            : $"The claim {claim} does not have a value that the profile allows.";
    }

    private bool HasType(JsonElement value) => Type switch
    {
        ClaimType.String => value.ValueKind == JsonValueKind.String,
        ClaimType.Integer => value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out _),
        ClaimType.Number => value.ValueKind == JsonValueKind.Number,
        ClaimType.Boolean => value.ValueKind is JsonValueKind.True or JsonValueKind.False,
        ClaimType.Array => value.ValueKind == JsonValueKind.Array,
        ClaimType.Object => value.ValueKind == JsonValueKind.Object,
        _ => true,
    };

    /// <summary>Null: there is something that is no text.</summary>
    private static IEnumerable<string>? Texts(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => [value.GetString()!],
        JsonValueKind.Array when value.EnumerateArray().All(v => v.ValueKind == JsonValueKind.String) => value.EnumerateArray().Select(v => v.GetString()!),
        _ => null,
    };

    private bool IsAllowed(string text) =>
        (Values is not { } values || values.Contains(text, StringComparer.Ordinal)) && (Pattern is null || Compile(Pattern).IsMatch(text));

    private static Regex Compile(string pattern)
    {
        if (Compiled.TryGetValue(pattern, out var known))
            return known;
        if (Compiled.Count >= RememberedPatterns)
            Compiled.Clear();
        // \z, not $: a line feed at the end would pass.
        return Compiled.GetOrAdd(pattern, static p => new Regex(
            $@"\A(?:{p})\z", RegexOptions.NonBacktracking | RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, Regex.InfiniteMatchTimeout));
    }

    private static SigningException Invalid(string message) => new(SigningFault.InvalidRequest, message);
}
