using System.Collections.Concurrent;

namespace SignSvc.Lifecycle.Tests;

/// <summary>
/// Eight clients change two keys at once, a hundred times over. Afterwards each key's answers must be those of some order
/// of its calls, one after the other, that respects which call had ended before another began (linearizability).
/// </summary>
public sealed class InterleavingTests(RunningService service)
{
    private const int Clients = 8;
    private const int CallsEach = 4;

    [Fact]
    public async Task Whatever_the_interleaving_the_answers_are_those_of_a_single_caller()
    {
        for (var seed = 1; seed <= 100; seed++)
        {
            string[] keys = [await NewKeyAsync(), await NewKeyAsync()];
            var calls = new ConcurrentBag<KeyCall>();
            await Task.WhenAll(Enumerable.Range(0, Clients).Select(client => RunAsync(new Random((seed * 100) + client), keys, calls)));
            foreach (var key in keys)
            {
                // The last word: what stands in the end.
                var end = await CallAsync(key, KeyAction.Read, 0);
                var history = calls.Where(c => string.Equals(c.Key, key, StringComparison.Ordinal)).Append(end).OrderBy(c => c.Begin).ToArray();
                Assert.True(
                    KeyModel.Explains(history),
                    $"Seed {seed}: no order of these calls gives these answers:\n{string.Join('\n', history.Select(h => h.ToString()))}");
            }
        }
    }

    [Fact]
    public void The_model_refuses_what_cannot_be()
    {
        KeyCall[] lost =
        [
            new("k", KeyAction.Disable, 0, 1, 2, 200, "disabled:active"),
            new("k", KeyAction.Read, 0, 3, 4, 200, "enabled:active"),
        ];
        Assert.False(KeyModel.Explains(lost));
        KeyCall[] signedWhileDisabled =
        [
            new("k", KeyAction.Disable, 0, 1, 2, 200, "disabled:active"),
            new("k", KeyAction.Sign, 0, 3, 4, 200, "1"),
        ];
        Assert.False(KeyModel.Explains(signedWhileDisabled));
        KeyCall[] atOnce =
        [
            new("k", KeyAction.Disable, 0, 1, 5, 200, "disabled:active"),
            new("k", KeyAction.Sign, 0, 2, 4, 200, "1"),
        ];
        Assert.True(KeyModel.Explains(atOnce));
    }

    private Task<string> NewKeyAsync() => service.Admin.NewArtifactsKeyAsync(""","rotation":{"leadSeconds":3600}""");

    private async Task RunAsync(Random random, string[] keys, ConcurrentBag<KeyCall> calls)
    {
        for (var i = 0; i < CallsEach; i++)
            calls.Add(await CallAsync(keys[random.Next(2)], (KeyAction)random.Next(8), random.Next(1, 4)));
    }

    private async Task<KeyCall> CallAsync(string key, KeyAction action, int version)
    {
        var client = service.Admin;
        var begin = TimeProvider.System.GetTimestamp();
        var answer = await (action switch
        {
            KeyAction.Enable => client.DoAsync(key, "enable"),
            KeyAction.Disable => client.DoAsync(key, "disable"),
            KeyAction.Rotate => client.DoAsync(key, "rotate"),
            KeyAction.Revoke => client.RevokeAsync(key, version),
            KeyAction.Delete => client.DeleteKeyAsync(key, 7),
            KeyAction.Cancel => client.DoAsync(key, "cancel-deletion"),
            KeyAction.Sign => client.SignAsync(key),
            _ => client.ReadKeyAsync(key),
        });
        var end = TimeProvider.System.GetTimestamp();
        Assert.True(answer.Code < 500, $"{action} answered {answer}\n{service.Log}");
        // The answer to a rotation is read after it, so it may show a later change as well.
        var shown = answer.Code != 200 || action == KeyAction.Rotate
            ? null
            : action == KeyAction.Sign ? answer["version"] : $"{answer["state"]}:{string.Join(',', answer.States())}";
        return new KeyCall(key, action, version, begin, end, answer.Code, shown);
    }
}
