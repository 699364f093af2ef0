namespace SignSvc.Cli.Login;

/// <summary>Where the service is, and as whom we come.</summary>
/// <param name="Token">Null: there is none for this URL. What is open to everybody can be read all the same.</param>
/// <param name="TokenSource">In words, for errors.</param>
internal sealed record Connection(Uri Url, string? Token, string TokenSource)
{
    public const string DefaultUrl = "http://127.0.0.1:8080";

    private const int MaxTokenBytes = 16 * 1024;

    /// <summary>How a service's URL is kept, compared and shown: a slash at its end does not make it another.</summary>
    public string Address => AddressOf(Url);

    /// <summary>
    /// The order is that of <see cref="ExitCode.Description"/>. A stored credential never goes to another URL than its
    /// own, and the local data folder's never to another machine.
    /// </summary>
    public static Connection Resolve(string? urlOption)
    {
        var token = Variable("SIGNSVC_TOKEN");
        var named = urlOption ?? Variable("SIGNSVC_URL");
        var stored = named is not null && token is not null ? null : StoredLogin.Read();
        var url = ParseUrl(named ?? stored?.Url ?? DefaultUrl);
        if (token is not null)
            return new Connection(url, CheckToken(token, "SIGNSVC_TOKEN"), "SIGNSVC_TOKEN");
        if (stored is not null && string.Equals(AddressOf(ParseUrl(stored.Url)), AddressOf(url), StringComparison.Ordinal))
            return new Connection(url, CheckToken(stored.Token, StoredLogin.FilePath), $"the stored login ({StoredLogin.FilePath})");
        var local = Path.Combine(Variable("SIGNSVC_DATA") ?? "data", "bootstrap.credential");
        return url.IsLoopback && File.Exists(local)
            ? new Connection(url, CheckToken(ReadSmall(local), local), local)
            : new Connection(url, Token: null, "nowhere");
    }

    /// <exception cref="CommandException"><see cref="ExitCode.Usage"/>: there is none.</exception>
    public string RequireToken() => Token ?? throw CommandException.Usage(
        $"There is no credential for {Address}.",
        "Run 'signsvc login', set SIGNSVC_TOKEN, or set SIGNSVC_DATA to the data folder of a service on this machine.");

    public static Uri ParseUrl(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var url) && url is { Scheme: "http" or "https", UserInfo: "", Query: "", Fragment: "" }
            ? url
            : throw CommandException.Usage("The service's URL must be like https://signsvc.example or http://127.0.0.1:8080, without credentials in it.");

    /// <summary>What fits a header (RFC 6750 section 2.1). The message does not show it.</summary>
    public static string CheckToken(string token, string source)
    {
        token = token.Trim();
        return token.Length > 0 && token.All(c => c is > ' ' and < '\x7f')
            ? token
            : throw CommandException.Usage($"{source} does not hold a bearer token.");
    }

    private static string AddressOf(Uri url) => url.AbsoluteUri.TrimEnd('/');

    private static string? Variable(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;

    private static string ReadSmall(string path) =>
        new FileInfo(path).Length <= MaxTokenBytes ? File.ReadAllText(path) : "";
}
