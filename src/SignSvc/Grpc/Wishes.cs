using Google.Protobuf.WellKnownTypes;
using SignSvc.Signing;

namespace SignSvc.Grpc;

/// <summary>Reads what proto3 cannot say by itself: zero and the empty text are "not given".</summary>
internal static class Wishes
{
    public static string? Text(string text) => text.Length == 0 ? null : text;

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: no version has such a number.</exception>
    public static int? Version(uint version) => version switch
    {
        0 => null,
        <= int.MaxValue => (int)version,
        _ => throw Invalid("There is no such version."),
    };

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: not whole seconds of a sensible number.</exception>
    public static int? Seconds(Duration? duration, string name) => duration switch
    {
        null => null,
        { Nanos: 0, Seconds: >= 0 and <= int.MaxValue } => (int)duration.Seconds,
        _ => throw Invalid($"{name} is a whole number of seconds."),
    };

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: not as google/protobuf/timestamp.proto has it.</exception>
    public static DateTimeOffset? Time(Timestamp? at, string name) => Read(at, static t => t.ToDateTimeOffset(), name);

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: not as google/protobuf/duration.proto has it.</exception>
    public static TimeSpan? Span(Duration? duration, string name) => Read(duration, static d => d.ToTimeSpan(), name);

    /// <summary>Enums are open on the wire: a number that this version does not know is refused, not guessed.</summary>
    public static SigningException Unknown(string name) => Invalid($"{name} has an unknown value.");

    private static TResult? Read<T, TResult>(T? message, Func<T, TResult> read, string name)
        where T : class
        where TResult : struct
    {
        try
        {
            return message is null ? null : read(message);
        }
        catch (InvalidOperationException e)
        {
            throw new SigningException(SigningFault.InvalidRequest, $"{name} is out of its range.", e);
        }
    }

    public static SigningException Invalid(string message) => new(SigningFault.InvalidRequest, message);
}
