namespace SignSvc.Clients.Tests.Running;

/// <summary>Where the files are that tests use: the outside tools, the clients' scripts.</summary>
internal static class Checkout
{
    public static string Root { get; } = FindRoot();

    public static string Node => Tool("node");

    /// <summary>Debian's interpreter by its path: another one earlier on PATH does not see Debian's modules.</summary>
    public static string Python => Require("/usr/bin/python3", "run tests/install-tools.sh");

    public static string AwsCli => Require("/usr/bin/aws", "run tests/install-tools.sh");

    public static string OpenSsl => Require("/usr/bin/openssl", "run tests/install-tools.sh");

    public static string SoftHsm => Require("/usr/lib/softhsm/libsofthsm2.so", "run tests/install-tools.sh");

    public static string SoftHsmUtil => Require("/usr/bin/softhsm2-util", "run tests/install-tools.sh");

    /// <summary>A program in <c>SIGNSVC_TOOLS</c>, by default <c>.tools</c> of the checkout.</summary>
    public static string Tool(string name)
    {
        var tools = Environment.GetEnvironmentVariable("SIGNSVC_TOOLS") is { Length: > 0 } named ? named : Path.Combine(Root, ".tools");
        return Require(Path.Combine(tools, "bin", name), "run tests/install-tools.sh");
    }

    /// <summary>A file of this test project, in place: npm packages are found only beside it.</summary>
    public static string Script(params string[] path) =>
        Require(Path.Combine([Root, "tests", "SignSvc.Clients.Tests", .. path]), "it belongs to the checkout");

    private static string Require(string file, string remedy) =>
        File.Exists(file) ? file : throw new FileNotFoundException($"{file} is missing: {remedy}");

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "SignSvc.sln")))
            folder = folder.Parent;
        return folder?.FullName ?? throw new DirectoryNotFoundException("These tests run inside a checkout of SignSvc.");
    }
}
