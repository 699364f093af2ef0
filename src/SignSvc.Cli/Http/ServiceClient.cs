using System.CommandLine;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Serialization.Metadata;
using SignSvc.Cli.Approvals;
using SignSvc.Cli.Login;

namespace SignSvc.Cli.Http;

/// <summary>
/// One command's conversation with the service. The credential goes to the service's own URL and nowhere else:
/// redirects are not followed, and what is open to everybody is read without it.
/// </summary>
internal sealed class ServiceClient : IDisposable
{
    /// <summary>Over any answer of the API (a page of 1,000 audit records); it bounds what a wrong address can make us read.</summary>
    private const int MaxAnswerBytes = 64 * 1024 * 1024;

    private readonly Connection _connection;
    private readonly HttpClient _http;

    public ServiceClient(Connection connection, TimeSpan timeout)
    {
        _connection = connection;
        var handler = new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false, UseProxy = !connection.Url.IsLoopback };
        _http = new HttpClient(handler) { Timeout = timeout, MaxResponseContentBufferSize = MaxAnswerBytes };
        _http.DefaultRequestHeaders.UserAgent.Add(new ProductInfoHeaderValue("signsvc-cli", null));
    }

    public Uri Url => _connection.Url;

    /// <param name="waits">How long the service was asked to hold its answer back: that is no time-out.</param>
    public static ServiceClient Connect(ParseResult parsed, TimeSpan waits = default) =>
        new(Connection.Resolve(parsed.GetValue(GlobalOptions.Url)), TimeSpan.FromSeconds(parsed.GetValue(GlobalOptions.Timeout)) + waits);

    public void Dispose() => _http.Dispose();

    public Task<Answer> GetAsync(string path, CancellationToken cancellationToken) =>
        SendAsCallerAsync(HttpMethod.Get, path, content: null, cancellationToken);

    /// <param name="onlyIf">The <c>etag</c> that the key must have; null: any.</param>
    public Task<Answer> PostAsync(string path, CancellationToken cancellationToken, string? onlyIf = null) =>
        SendAsCallerAsync(HttpMethod.Post, path, content: null, cancellationToken, onlyIf);

    /// <inheritdoc cref="PostAsync(string, CancellationToken, string?)"/>
    public Task<Answer> DeleteAsync(string path, CancellationToken cancellationToken, string? onlyIf = null) =>
        SendAsCallerAsync(HttpMethod.Delete, path, content: null, cancellationToken, onlyIf);

    public Task<Answer> PostAsync<T>(string path, T body, JsonTypeInfo<T> type, CancellationToken cancellationToken) =>
        SendAsCallerAsync(HttpMethod.Post, path, body, type, cancellationToken);

    /// <inheritdoc cref="PostAsync(string, CancellationToken, string?)"/>
    public Task<Answer> PutAsync<T>(string path, T body, JsonTypeInfo<T> type, CancellationToken cancellationToken, string? onlyIf = null) =>
        SendAsCallerAsync(HttpMethod.Put, path, body, type, cancellationToken, onlyIf);

    /// <inheritdoc cref="PostAsync(string, CancellationToken, string?)"/>
    public Task<Answer> PatchAsync<T>(string path, T body, JsonTypeInfo<T> type, CancellationToken cancellationToken, string? onlyIf = null) =>
        SendAsCallerAsync(HttpMethod.Patch, path, body, type, cancellationToken, onlyIf);

    /// <summary>For an answer of any size. The time-out bounds the wait for its beginning; what comes then may take as long as the service lets it.</summary>
    /// <returns>The bytes written.</returns>
    public async Task<long> PostAsync(string path, Func<Stream, CancellationToken, Task<long>> write, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, At(path));
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", _connection.RequireToken());
        return await AskAsync(
            request,
            async () =>
            {
                using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
                if (!response.IsSuccessStatusCode)
                    throw Refusals.Of(request.RequestUri!, response, await response.Content.ReadAsByteArrayAsync(cancellationToken), _connection);
                await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
                return await write(body, cancellationToken);
            });
    }

    /// <summary>Reads what is open to everybody, at any address, without the credential.</summary>
    public async Task<Answer> GetOpenAsync(Uri address, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, address);
        return await SendAsync(request, cancellationToken);
    }

    public Uri At(string path) => new(_connection.Address + path);

    private async Task<Answer> SendAsCallerAsync<T>(
        HttpMethod method, string path, T body, JsonTypeInfo<T> type, CancellationToken cancellationToken, string? onlyIf = null)
    {
        using var content = JsonContent.Create(body, type);
        // Known before it is sent, so that no chunking is needed.
        await content.LoadIntoBufferAsync(cancellationToken);
        return await SendAsCallerAsync(method, path, content, cancellationToken, onlyIf);
    }

    private async Task<Answer> SendAsCallerAsync(
        HttpMethod method, string path, HttpContent? content, CancellationToken cancellationToken, string? onlyIf = null)
    {
        using var request = new HttpRequestMessage(method, At(path)) { Content = content };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", _connection.RequireToken());
        if (onlyIf is not null)
            request.Headers.IfMatch.Add(new EntityTagHeaderValue($"\"{onlyIf}\""));
        return await SendAsync(request, cancellationToken);
    }

    private Task<Answer> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) => AskAsync(
        request,
        async () =>
        {
            using var response = await _http.SendAsync(request, cancellationToken);
            var body = await response.Content.ReadAsByteArrayAsync(cancellationToken);
            if (response.StatusCode == HttpStatusCode.Accepted)
                throw Pending(new Answer(body).Read(CliJson.Default.ApprovalAnswer));
            return response.IsSuccessStatusCode
                ? new Answer(body, response.Headers.ETag?.Tag.Trim('"'))
                : throw Refusals.Of(request.RequestUri!, response, body, _connection);
        });

    /// <summary>Nothing is done yet: the same command does it, once, when others have approved.</summary>
    private static CommandException Pending(ApprovalAnswer approval) => new(
        ExitCode.Refused, $"This needs the approval of {approval.Required}: it is asked for as {approval.Id}.",
        $"Repeat the same command when it is given, before {approval.ExpiresAt:u}: signsvc approvals show {approval.Id} --wait 60", status: 202);

    private async Task<T> AskAsync<T>(HttpRequestMessage request, Func<Task<T>> ask)
    {
        try
        {
            return await ask();
        }
        catch (HttpIOException e)
        {
            throw new CommandException(ExitCode.Unavailable, $"{Origin(request)} broke off its answer: {e.Message.TrimEnd('.')}.", "Try again.", e);
        }
        catch (HttpRequestException e)
        {
            throw new CommandException(
                ExitCode.Unavailable,
                $"{Origin(request)} cannot be reached: {(e.InnerException ?? e).Message.TrimEnd('.')}.",
                "Is the service running, and is this its URL? Name another with --url or SIGNSVC_URL.", e);
        }
        catch (TaskCanceledException e) when (e.InnerException is TimeoutException)
        {
            throw new CommandException(
                ExitCode.Unavailable,
                $"{Origin(request)} did not answer within {_http.Timeout.TotalSeconds} s.",
                "Try again, or give it longer with --timeout.", e);
        }
    }

    private static string Origin(HttpRequestMessage request) => request.RequestUri!.GetLeftPart(UriPartial.Authority);
}
