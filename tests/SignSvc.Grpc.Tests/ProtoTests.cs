using System.Runtime.InteropServices;
using SignSvc.Tests.Shared.Grpc;

namespace SignSvc.Grpc.Tests;

/// <summary>The protos that clients compile, by the protocol buffers tool.</summary>
public sealed class ProtoTests
{
    /// <summary>What has been published: made by <c>buf build src/SignSvc.Grpc/Protos --exclude-source-info -o published.binpb</c> at a release.</summary>
    private static string Published => Path.Combine(InteropClients.Folder, "published.binpb");

    [Fact]
    public Task They_pass_the_usual_lint_rules() => BufAsync("lint");

    [Fact]
    public Task They_break_nothing_that_was_published() => BufAsync("breaking", "--against", Published);

    /// <summary>The service answers both from the messages of v1, which holds only while their bytes mean the same.</summary>
    [Fact]
    public void Reflection_under_its_first_name_differs_by_its_package_alone()
    {
        var v1 = Statements("v1").Select(line => line.Replace("reflection.v1", "reflection.v1alpha", StringComparison.Ordinal).Replace("Reflection.V1", "Reflection.V1Alpha", StringComparison.Ordinal));
        Assert.Equal(v1, Statements("v1alpha"), StringComparer.Ordinal);

        static IEnumerable<string> Statements(string version) => File
            .ReadLines(Path.Combine(Protos, "grpc", "reflection", version, "reflection.proto"))
            .Where(line => !line.TrimStart().StartsWith("//", StringComparison.Ordinal));
    }

    private static string Protos => Path.Combine(InteropClients.Folder, "..", "..", "src", "SignSvc.Grpc", "Protos");

    private static async Task BufAsync(string command, params string[] arguments)
    {
        var package = RuntimeInformation.OSArchitecture == Architecture.Arm64 ? "buf-linux-aarch64" : "buf-linux-x64";
        var buf = Path.Combine(await InteropClients.Clients.NodeModulesAsync(), "@bufbuild", package, "bin", "buf");
        await OutsideClients.RunAsync(buf, [command, Protos, .. arguments]);
    }
}
