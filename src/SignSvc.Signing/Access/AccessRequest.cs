using SignSvc.Signing.Access.Grants;
using SignSvc.Signing.Artifacts;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Tokens;

namespace SignSvc.Signing.Access;

/// <summary>One question to the policies: may this caller do this to that? Made on the stack; it copies nothing.</summary>
public readonly record struct AccessRequest
{
    public required Caller Caller { get; init; }

    /// <summary>One of <see cref="Actions"/>.</summary>
    public required string Action { get; init; }

    /// <summary>When it is asked.</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary><c>kind/name</c>, <c>kind/*</c> for what lists; null where the key says it all.</summary>
    public string? Resource { get; init; }

    public AccessFacts Facts { get; init; }
}

/// <summary>What is known of a request beside its caller. What is null does not apply, and conditions find it missing.</summary>
public readonly record struct AccessFacts
{
    /// <summary>The key in question: its policy and its grants count, and <c>key/NAME</c> and <c>key/ID</c> both name it.</summary>
    public Key? Key { get; init; }

    /// <summary>Within its bounds; see <see cref="SigningContext.Fault"/>.</summary>
    public SigningContext? Context { get; init; }

    public TokenWish Token { get; init; }

    /// <summary>The grant in question, where one is to be ended.</summary>
    public Grant? Grant { get; init; }

    /// <summary>Of the message or digest.</summary>
    public long? Bytes { get; init; }

    /// <summary>Items that were asked for together.</summary>
    public int? Count { get; init; }
}

/// <summary>A token as it is asked for. What the caller left to the profile is read from there.</summary>
public readonly record struct TokenWish(TokenOrder? Order, TokenProfile? Profile, Caller? Caller)
{
    internal string? Subject => Order is null ? null : Order.Request.Subject ?? Caller?.Name;

    internal int? LifetimeSeconds => Order is null ? null : Order.Request.LifetimeSeconds ?? Profile?.DefaultLifetimeSeconds;

    internal string? DefaultAudience
    {
        get
        {
            if (Profile is null)
                return null;
            foreach (var audience in Profile.Audiences)
            {
                if (!audience.EndsWith('*'))
                    return audience;
            }

            return null;
        }
    }
}
