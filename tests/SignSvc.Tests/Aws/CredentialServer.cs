using System.Collections.Concurrent;
using System.Net;
using System.Text;

namespace SignSvc.Tests.Aws;

/// <summary>
/// Where containers and instances get the credentials of their role: the endpoint of ECS and EKS Pod Identity, and the
/// instance metadata service in its version 2, whose session token every read has to show.
/// </summary>
internal sealed class CredentialServer : IAsyncDisposable
{
    public const string ContainerToken = "container-authorization";
    private const string SessionToken = "metadata-session";
    private const string Role = "signsvc-instance";

    private readonly HttpListener _listener = new();
    private readonly Task _serving;
    private readonly string _accessKeyId;

    /// <param name="accessKeyId">What the role's credentials are called.</param>
    public CredentialServer(string accessKeyId)
    {
        _accessKeyId = accessKeyId;
        Uri = new Uri($"http://127.0.0.1:{FreePort.Next()}/");
        _listener.Prefixes.Add(Uri.ToString());
        _listener.Start();
        _serving = Task.Run(ServeAsync);
    }

    public Uri Uri { get; }

    /// <summary>Method and path of what was answered with 200.</summary>
    public ConcurrentQueue<string> Answered { get; } = new();

    public async ValueTask DisposeAsync()
    {
        _listener.Close();
        await _serving;
    }

    private async Task ServeAsync()
    {
        while (true)
        {
            try
            {
                await AnswerAsync(await _listener.GetContextAsync());
            }
            catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task AnswerAsync(HttpListenerContext context)
    {
        var (request, response) = (context.Request, context.Response);
        var asked = $"{request.HttpMethod} {request.Url!.AbsolutePath.TrimEnd('/')}";
        var text = asked switch
        {
            "GET /container" when request.Headers["Authorization"] is ContainerToken => Credentials(),
            "PUT /latest/api/token" when request.Headers["X-aws-ec2-metadata-token-ttl-seconds"] is { Length: > 0 } => SessionToken,
            "GET /latest/meta-data/iam/security-credentials" when ShowsSession(request) => Role,
            $"GET /latest/meta-data/iam/security-credentials/{Role}" when ShowsSession(request) => Credentials(),
            _ => null,
        };
        response.StatusCode = text is null ? 404 : 200;
        if (text is not null)
        {
            Answered.Enqueue(asked);
            await response.OutputStream.WriteAsync(Encoding.UTF8.GetBytes(text));
        }

        response.Close();
    }

    private static bool ShowsSession(HttpListenerRequest request) => request.Headers["X-aws-ec2-metadata-token"] is SessionToken;

    private string Credentials() =>
        $$"""
        {"Code":"Success","LastUpdated":"{{Time(0)}}","Type":"AWS-HMAC","AccessKeyId":"{{_accessKeyId}}","SecretAccessKey":"any",
         "Token":"session","Expiration":"{{Time(6)}}"}
        """;

    private static string Time(int hours) => TimeProvider.System.GetUtcNow().AddHours(hours).ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", null);
}
