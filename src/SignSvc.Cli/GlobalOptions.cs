using System.CommandLine;

namespace SignSvc.Cli;

/// <summary>What every command takes.</summary>
internal static class GlobalOptions
{
    private const string Yaml = "yaml";
    private const int MaxTimeoutSeconds = 3600;

    public static readonly Option<string> Output = MakeOutput();

    public static readonly Option<string?> Url = new("--url")
    {
        Description = "Where the service is.",
        HelpName = "URL",
        Recursive = true,
    };

    public static readonly Option<int> Timeout = MakeTimeout();

    public static bool WantsYaml(this ParseResult parsed) =>
        string.Equals(parsed.GetValue(Output), Yaml, StringComparison.Ordinal);

    public static bool WantsJson(this ParseResult parsed) =>
        string.Equals(parsed.GetValue(Output), "json", StringComparison.Ordinal);

    private static Option<string> MakeOutput()
    {
        var option = new Option<string>("--output", "-o")
        {
            Description = "table for people, or json: exactly what the service answered. yaml: for status alone.",
            HelpName = "table|json|yaml",
            Recursive = true,
            DefaultValueFactory = _ => "table",
        };
        option.AcceptOnlyFromAmong("table", "json", Yaml);
        return option;
    }

    private static Option<int> MakeTimeout()
    {
        var option = new Option<int>("--timeout")
        {
            Description = "How many seconds one call to the service may take.",
            HelpName = "seconds",
            Recursive = true,
            DefaultValueFactory = _ => 30,
        };
        option.Validators.Add(result =>
        {
            if (result.Tokens.Count > 0 && result.GetValueOrDefault<int>() is < 1 or > MaxTimeoutSeconds)
                result.AddError($"--timeout is from 1 to {MaxTimeoutSeconds} seconds.");
        });
        return option;
    }
}
