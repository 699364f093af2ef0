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

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: beyond the years 1 to 9999.</exception>
    public static DateTimeOffset? Time(Timestamp? at, string name)
    {
        try
        {
            return at?.ToDateTimeOffset();
        }
        catch (InvalidOperationException)
        {
            throw Invalid($"{name} is no time of the years 1 to 9999.");
        }
    }

    /// <summary>Enums are open on the wire: a number that this version does not know is refused, not guessed.</summary>
    public static SigningException Unknown(string name) => Invalid($"{name} has an unknown value.");

    public static SigningException Invalid(string message) => new(SigningFault.InvalidRequest, message);
}
