using System.ComponentModel;
using System.Diagnostics;
using SignSvc.Emulation.Wire;

namespace SignSvc.Emulation.Tests.Clients;

/// <summary>Clients of other makers, unmodified.</summary>
public sealed class OutsideClientTests
{
    private const string Install = "apt-get install -y python3-boto3 python3-cryptography awscli";

    [Fact]
    public async Task Boto3_drives_every_operation_that_is_served()
    {
        // The secret makes the emulator verify every signature that boto3 computes.
        await using var running = await RunningEmulator.StartAsync(o =>
            o with
            {
                AccessKeys = [new AccessKey("111111111111", "111111111111") { Secret = "secret" }],
            });
        var script = Path.Combine(AppContext.BaseDirectory, "Clients", "every_call.py");
        var (exit, output, error) = await RunAsync(
            "/usr/bin/python3",
            [script, running.Emulator.Uri.ToString().TrimEnd('/')]);
        Assert.True(exit == 0, $"boto3 failed (install it with: {Install}):\n{error}");
        var called = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(
            Operations.ByName.Keys.Order(StringComparer.Ordinal),
            called.Order(StringComparer.Ordinal),
            StringComparer.Ordinal);
    }

    [Fact]
    public async Task The_AWS_CLI_creates_a_key_and_signs_with_it()
    {
        await using var running = await RunningEmulator.StartAsync();
        string[] kms = ["--endpoint-url", running.Emulator.Uri.ToString(), "--region", "eu-central-1", "kms"];
        var (exit, keyId, error) = await RunAsync(
            "/usr/bin/aws",
            [
                .. kms,
                "create-key",
                "--key-spec",
                "ECC_NIST_P256",
                "--key-usage",
                "SIGN_VERIFY",
                "--query",
                "KeyMetadata.KeyId",
                "--output",
                "text",
            ]);
        Assert.True(exit == 0, $"aws failed (install it with: {Install}):\n{error}");
        (exit, var algorithm, error) = await RunAsync(
            "/usr/bin/aws",
            [
                .. kms,
                "sign",
                "--key-id",
                keyId.Trim(),
                "--message",
                "AAAA",
                "--signing-algorithm",
                "ECDSA_SHA_256",
                "--query",
                "SigningAlgorithm",
                "--output",
                "text",
            ]);
        Assert.True(exit == 0, error);
        Assert.Equal("ECDSA_SHA_256", algorithm.Trim());
        Assert.Equal(1, running.Emulator.Calls["Sign"].Succeeded);
    }

    private static async Task<(int Exit, string Output, string Error)> RunAsync(string program, string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["AWS_ACCESS_KEY_ID"] = "111111111111";
        start.Environment["AWS_SECRET_ACCESS_KEY"] = "secret";
        start.Environment["AWS_EC2_METADATA_DISABLED"] = "true";
        start.Environment["AWS_CONFIG_FILE"] = start.Environment["AWS_SHARED_CREDENTIALS_FILE"] = "/dev/null";
        start.Environment["NO_PROXY"] = "127.0.0.1";
        try
        {
            using var process = Process.Start(start)!;
            var cancellationToken = TestContext.Current.CancellationToken;
            var output = process.StandardOutput.ReadToEndAsync(cancellationToken);
            var error = process.StandardError.ReadToEndAsync(cancellationToken);
            await process.WaitForExitAsync(cancellationToken);
            return (process.ExitCode, await output, await error);
        }
        catch (Win32Exception missing)
        {
            throw new InvalidOperationException($"{program} is missing; install it with: {Install}", missing);
        }
    }
}
