namespace SignSvc.Compatibility.AwsKms;

/// <summary>A refusal that only AWS KMS's vocabulary has a word for.</summary>
internal sealed class KmsException(string type, string message) : Exception(message)
{
    private const int MaxShown = 1024;

    /// <summary>The wire's <c>__type</c>.</summary>
    public string Type { get; } = type;

    /// <summary>Nobody was authenticated.</summary>
    public bool IsOfStranger { get; init; }

    public static KmsException Validation(string message) => new("ValidationException", message);

    /// <summary>A constraint of the API model, in the words that AWS's clients know.</summary>
    /// <param name="member">As the wire has it: <c>KeyId</c>, or a path: <c>Tags.1.member.TagKey</c>.</param>
    /// <param name="value">What was sent; null where it is bytes, which are not repeated.</param>
    public static KmsException Constraint(string member, string? value, string constraint) =>
        Unmet(member, value is null ? "" : $"'{value[..Math.Min(value.Length, MaxShown)]}' ", constraint);

    public static KmsException Missing(string member) => Unmet(member, "null ", "not be null");

    /// <summary>A length or a number that is outside its bounds.</summary>
    /// <param name="what"><c>length</c> or <c>value</c>.</param>
    public static KmsException OutOfBounds(string member, string? value, string what, bool isTooSmall, int min, int max) =>
        Constraint(member, value, isTooSmall ? $"have {what} greater than or equal to {min}" : $"have {what} less than or equal to {max}");

    public static KmsException NotFound(string message) => new("NotFoundException", message);

    public static KmsException Unsupported(string message) => new("UnsupportedOperationException", message);

    private static KmsException Unmet(string member, string shown, string constraint) => Validation(
        $"1 validation error detected: Value {shown}at '{string.Join('.', member.Split('.').Select(InCamelCase))}' failed to satisfy constraint: Member must {constraint}");

    private static string InCamelCase(string name) => $"{char.ToLowerInvariant(name[0])}{name[1..]}";
}
