namespace SignSvc.Load.Surroundings;

/// <summary>A program that we do not bring along is not installed; the message names the command that does it.</summary>
public sealed class MissingToolException(string tool, Exception? inner = null) : InvalidOperationException($"{tool} is missing: {InstallOf(tool)}", inner)
{
    private static string InstallOf(string tool) => tool switch
    {
        "openssl" => "apt-get install openssl",
        "gcc" => "apt-get install gcc libc6-dev",
        "softhsm2-util" or "SoftHSM2" => "apt-get install softhsm2",
        // Debian's own node may be too old for the peer.
        "node" or "npm" => "tests/install-tools.sh installs it",
        "dotnet" => "install the .NET SDK that global.json names, and put it into PATH",
        _ => "install it, and put it into PATH",
    };
}
