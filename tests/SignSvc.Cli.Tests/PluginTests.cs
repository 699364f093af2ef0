using System.Security.Cryptography;
using System.Text.Json;

namespace SignSvc.Cli.Tests;

/// <summary>signsvc as cosign's plugin, where no cosign is needed to see it.</summary>
public sealed class PluginTests(RunningService service) : IDisposable
{
    /// <summary>A call to the service may take 30 seconds.</summary>
    private static readonly TimeSpan LongerThanACall = TimeSpan.FromSeconds(32);

    private readonly CommandLine _signsvc = new(service);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _signsvc.Dispose();

    [Fact]
    public async Task An_artifact_may_take_longer_to_come_than_a_call_to_the_service()
    {
        var artifact = RandomNumberGenerator.GetBytes(512 * 1024);
        const string call = """{"initOptions":{"protocolVersion":"v1","keyResourceID":"release","hashFunc":5},"methodName":"signMessage","signMessage":{"signOptions":{"messageOptions":{"digest":null}}}}""";

        using var plugin = _signsvc.Start("v1", call);
        var input = plugin.StandardInput.BaseStream;
        await input.WriteAsync(artifact.AsMemory(0, artifact.Length / 2), Cancellation);
        await Task.Delay(LongerThanACall, TimeProvider.System, Cancellation);
        await input.WriteAsync(artifact.AsMemory(artifact.Length / 2), Cancellation);
        plugin.StandardInput.Close();
        var answer = JsonElement.Parse(await plugin.StandardOutput.ReadToEndAsync(Cancellation));
        await plugin.WaitForExitAsync(Cancellation);

        Assert.True(answer.TryGetProperty("signMessage", out var signed), answer.GetRawText());
        await File.WriteAllBytesAsync(_signsvc.Folder.At("app"), artifact, Cancellation);
        await File.WriteAllBytesAsync(_signsvc.Folder.At("app.sig"), signed.GetProperty("signature").GetBytesFromBase64(), Cancellation);
        (await _signsvc.RunAsync("verify", "app", "--signature", "app.sig")).Ended(0);
    }
}
