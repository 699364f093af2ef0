using SignSvc.Operations;
using SignSvc.Signing.Access.Policies;

namespace SignSvc.Access;

/// <summary>One person and the principals it goes by.</summary>
public sealed record PersonSettings
{
    /// <summary>As the <c>email</c> claim of the person's tokens has it, where there is one.</summary>
    public string Name { get; set; } = "";

    /// <summary>Patterns: <c>credential:alice</c>, <c>oidc:corp:*|alice</c>.</summary>
    public IList<string> Principals { get; } = [];
}

/// <summary>Who is behind a principal, as the settings say. It allows nothing: by it nobody approves twice, or what they asked for.</summary>
internal sealed class People(IList<PersonSettings> configured) : ITakesSettings
{
    private volatile IList<PersonSettings> _people = configured;

    /// <returns>Null: the settings do not say.</returns>
    public string? NameOf(string principal)
    {
        var people = _people;
        for (var i = 0; i < people.Count; i++)
        {
            foreach (var pattern in people[i].Principals)
            {
                if (Wildcard.Matches(pattern, principal))
                    return people[i].Name;
            }
        }

        return null;
    }

    public Action Prepare(Settings settings) => () => _people = settings.Access.People;
}
