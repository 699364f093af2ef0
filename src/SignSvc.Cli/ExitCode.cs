namespace SignSvc.Cli;

/// <summary>What the process ends with. Scripts rely on it: none of these ever means something else.</summary>
internal static class ExitCode
{
    public const int Ok = 0;
    public const int NotValid = 1;
    public const int Usage = 2;
    public const int Refused = 3;
    public const int Unavailable = 4;
    public const int Interrupted = 130;

    public const string Description =
        """
        Where it goes and as whom: --url, else SIGNSVC_URL, else the stored login, else http://127.0.0.1:8080;
        SIGNSVC_TOKEN, else the stored login (for its own URL alone), else, for a service on this machine,
        bootstrap.credential in SIGNSVC_DATA (default ./data).

        Exit codes:
          0    done; for a check: valid
          1    the signature, the token or the audit is not valid; plan --exit-code: there are differences
          2    wrong usage, no credential, or a file that cannot be read or written
          3    the service refused it (HTTP 4xx)
          4    the service cannot be reached or cannot answer now (HTTP 5xx)
          130  interrupted
        """;
}
