using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using SignSvc.Tests.Shared;

namespace SignSvc.Load.Surroundings;

/// <summary>The stand-in for AWS KMS as a process of its own, with a wrapping key and one quota for signatures of elliptic curves.</summary>
internal sealed class KmsEmulatorProcess : IAsyncDisposable
{
    private const string Account = "111122223333";
    private const string Region = "eu-central-1";
    private const string WrappingKey = "alias/signsvc-wrapping";

    private readonly ChildProcess _process;
    private readonly Uri _url;
    private readonly double _quota;
    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false });

    private KmsEmulatorProcess(ChildProcess process, Uri url, double quota) => (_process, _url, _quota) = (process, url, quota);

    /// <summary>What a service needs to use it.</summary>
    public IReadOnlyDictionary<string, string> Settings => new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["AWS_ACCESS_KEY_ID"] = Account,
        ["AWS_SECRET_ACCESS_KEY"] = "any",
        ["SignSvc__Backends__AwsKms__default__Region"] = Region,
        ["SignSvc__Backends__AwsKms__default__Installation"] = "load",
        ["SignSvc__Backends__AwsKms__default__ServiceUrl"] = _url.ToString(),
        ["SignSvc__Backends__AwsKms__default__WrappingKey"] = WrappingKey,
        ["SignSvc__Backends__AwsKms__default__QuotaPerSecond__ECC"] = _quota.ToString(CultureInfo.InvariantCulture),
    };

    /// <param name="quota">Signatures a second, of the account; more are throttled.</param>
    public static async Task<KmsEmulatorProcess> StartAsync(double quota, TimeSpan latency, CancellationToken cancellationToken)
    {
        var url = new Uri($"http://127.0.0.1:{FreePort.Next()}");
        string[] arguments =
        [
            Checkout.Built("tests/SignSvc.KmsEmulator", "SignSvc.KmsEmulator"), "--url", url.ToString(), "--control",
            "--latency", latency.TotalMilliseconds.ToString(CultureInfo.InvariantCulture),
        ];
        var process = await ChildProcess.StartAsync(
            "dotnet", arguments, new Dictionary<string, string>(StringComparer.Ordinal),
            line => line.Contains("Now listening on", StringComparison.Ordinal), cancellationToken);
        var emulator = new KmsEmulatorProcess(process, url, quota);
        try
        {
            await emulator.PrepareAsync(cancellationToken);
            return emulator;
        }
        catch
        {
            await emulator.DisposeAsync();
            throw;
        }
    }

    /// <summary>How often the emulator was asked to sign, and how often it throttled.</summary>
    public async Task<(long Received, long Throttled)> SignCallsAsync(CancellationToken cancellationToken)
    {
        using var calls = JsonDocument.Parse(await _http.GetStringAsync(new Uri(_url, "/_emulator/calls"), cancellationToken));
        return calls.RootElement.TryGetProperty("Sign", out var sign)
            ? (sign.GetProperty("received").GetInt64(), sign.GetProperty("throttled").GetInt64())
            : (0, 0);
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await _process.DisposeAsync();
    }

    private async Task PrepareAsync(CancellationToken cancellationToken)
    {
        using var key = JsonDocument.Parse(await CallAsync("CreateKey", "{}", cancellationToken));
        var id = key.RootElement.GetProperty("KeyMetadata").GetProperty("KeyId").GetString();
        await CallAsync("CreateAlias", $$"""{"AliasName":"{{WrappingKey}}","TargetKeyId":"{{id}}"}""", cancellationToken);
        using var answer = await _http.PutAsync(
            new Uri(_url, $"/_emulator/quotas/ECC?perSecond={_quota.ToString(CultureInfo.InvariantCulture)}"), content: null, cancellationToken);
        answer.EnsureSuccessStatusCode();
    }

    /// <summary>As AWS JSON 1.1. The emulator reads the account and the Region from the signature and, without secrets, checks nothing.</summary>
    private async Task<string> CallAsync(string operation, string json, CancellationToken cancellationToken)
    {
        var now = TimeProvider.System.GetUtcNow();
        using var request = new HttpRequestMessage(HttpMethod.Post, _url)
        {
            Content = new ByteArrayContent(Encoding.UTF8.GetBytes(json)) { Headers = { ContentType = new MediaTypeHeaderValue("application/x-amz-json-1.1") } },
        };
        request.Headers.TryAddWithoutValidation("X-Amz-Target", $"TrentService.{operation}");
        request.Headers.TryAddWithoutValidation("X-Amz-Date", now.ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture));
        request.Headers.TryAddWithoutValidation(
            "Authorization",
            $"AWS4-HMAC-SHA256 Credential={Account}/{now:yyyyMMdd}/{Region}/kms/aws4_request, SignedHeaders=host;x-amz-date;x-amz-target, Signature={new string('0', 64)}");
        using var answer = await _http.SendAsync(request, cancellationToken);
        var text = await answer.Content.ReadAsStringAsync(cancellationToken);
        return answer.StatusCode == HttpStatusCode.OK ? text : throw new InvalidOperationException($"The emulator answered {operation} with {text}");
    }
}
