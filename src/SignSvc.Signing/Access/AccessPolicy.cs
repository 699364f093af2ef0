using SignSvc.Signing.Telemetry;

namespace SignSvc.Signing.Access;

/// <summary>
/// Proof that a caller was allowed to do one thing. Only <see cref="AccessPolicy"/> makes one, and the code that signs
/// or changes asks for it, so that nothing can be done that was not decided.
/// </summary>
public sealed class Permit
{
    internal Permit(Caller caller, string action)
    {
        Caller = caller;
        Action = action;
    }

    public Caller Caller { get; }

    public string Action { get; }
}

/// <summary>Decides. Nothing is allowed but what a role names.</summary>
public static class AccessPolicy
{
    public static bool Allows(Caller caller, string action)
    {
        foreach (var role in caller.Roles)
        {
            if (role.Allows(action))
                return true;
        }

        return false;
    }

    /// <exception cref="SigningException"><see cref="SigningFault.Forbidden"/>; the words are the same whatever the reason.</exception>
    public static Permit Authorise(Caller caller, string action)
    {
        using var span = SigningSpans.Start(SigningSpans.Policy);
        span?.SetTag(Tags.Action, action);
        return Allows(caller, action) ? new Permit(caller, action) : throw Forbidden();
    }

    public static SigningException Forbidden() =>
        new(SigningFault.Forbidden, "You are not allowed to do this, or it does not exist.");
}
