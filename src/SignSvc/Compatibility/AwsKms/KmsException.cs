namespace SignSvc.Compatibility.AwsKms;

/// <summary>A refusal that only AWS KMS's vocabulary has a word for.</summary>
internal sealed class KmsException(string type, string message) : Exception(message)
{
    /// <summary>The wire's <c>__type</c>.</summary>
    public string Type { get; } = type;

    /// <summary>Nobody was authenticated.</summary>
    public bool IsOfStranger { get; init; }

    public static KmsException Validation(string message) => new("ValidationException", message);

    /// <summary>A constraint of the API model, in the words that AWS's clients know.</summary>
    /// <param name="member">As the wire has it: <c>KeyId</c>.</param>
    public static KmsException Constraint(string member, string constraint) => Validation(
        $"1 validation error detected: Value at '{char.ToLowerInvariant(member[0])}{member[1..]}' failed to satisfy constraint: Member must {constraint}");

    public static KmsException NotFound(string message) => new("NotFoundException", message);

    public static KmsException Unsupported(string message) => new("UnsupportedOperationException", message);
}
