using SignSvc.Signing.Access;

namespace SignSvc.Signing.Tests.Access.Limits;

/// <summary>Callers of a node whose policy limits them.</summary>
public abstract class LimitScene : AccessScene
{
    /// <param name="limits">Members of the limits, a statement for each, for whoever is none of the administrator's.</param>
    protected Task LimitAsync(params string[] limits) => PutAsync(
        "limits",
        [.. limits.Select((l, i) => $$$"""{"sid":"l{{{i}}}","effect":"limit","principals":["*"],"actions":["keys:*"],"resources":["*"],"limit":{ {{{l}}} } }""")]);

    /// <returns>How many of them were signed.</returns>
    protected async Task<int> SignedOfAsync(int calls, Caller caller, string key = "release")
    {
        var signed = 0;
        for (var i = 0; i < calls; i++)
            signed += await SignAsync(caller, key) is null ? 1 : 0;
        return signed;
    }
}
