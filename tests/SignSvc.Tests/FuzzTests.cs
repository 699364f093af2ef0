using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace SignSvc.Tests;

/// <summary>Promise 8: whatever is sent to whatever the API describes, the service answers and lives.</summary>
public sealed class FuzzTests
{
    private const int Seed = 20260102;

    /// <summary>SIGNSVC_FUZZ_INPUTS asks for another number.</summary>
    private static readonly int Inputs = int.Parse(Environment.GetEnvironmentVariable("SIGNSVC_FUZZ_INPUTS") ?? "5000", CultureInfo.InvariantCulture);

    [Fact]
    public async Task No_input_gives_a_5xx_or_a_stack_trace()
    {
        await using var service = await ServiceProcess.StartAsync();
        var document = (await service.Client.MustGetAsync("/openapi/v1.json")).Json;
        var operations = FuzzedRequest.Operations(document);
        Assert.True(operations.Length >= 20, $"Only {operations.Length} operations are described.");

        var statuses = new ConcurrentDictionary<int, int>();
        var faults = new ConcurrentBag<string>();
        await Parallel.ForAsync(
            0, Inputs, new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = TestContext.Current.CancellationToken },
            async (i, _) =>
            {
                // Every input has a seed of its own, so that one alone can be sent again.
                using var request = new FuzzedRequest(new Random(Seed + i), document).Make(operations[i % operations.Length]);
                var what = $"input {i}: {request.Method} {request.RequestUri}";
                try
                {
                    var answer = await service.Client.CallAsync(request);
                    statuses.AddOrUpdate(answer.Code, 1, (_, n) => n + 1);
                    // Making wrapping keys for imports is bounded, and the bound may be reached: that is said with Retry-After.
                    var isBusy = answer.Code == 503 && answer.Headers.RetryAfter is not null && request.RequestUri!.OriginalString.Contains("/import-parameters", StringComparison.Ordinal);
                    // The one service has no second chance: a fault of its own, and a trace of its inside, both count.
                    if ((answer.Code >= 500 && !isBusy) || answer.Text.Contains("   at ", StringComparison.Ordinal))
                        faults.Add($"{what}: {answer}");
                    // A bare 400 is Kestrel's, to what is no HTTP.
                    if (answer.Code >= 400 && answer.Body.Length > 0 && answer.ContentHeaders.ContentType?.MediaType is not "application/problem+json"
                        && !IsOfOAuth(request, answer))
                        faults.Add($"{what}: no problem, but {answer}");
                }
                catch (HttpRequestException e)
                {
                    faults.Add($"{what}: {e.Message}");
                }
            });

        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{Inputs} inputs: {string.Join(", ", statuses.OrderBy(s => s.Key).Select(s => $"{s.Value} × {s.Key}"))}");
        Assert.Empty(faults.Take(5));
        Assert.True(statuses.Where(s => s.Key < 300).Sum(s => s.Value) > Inputs / 20, "Too few inputs come through to the code behind the parser.");
        await service.Client.MustGetAsync("/healthz/ready");
        // The inputs may have disabled or scheduled for deletion what was there before.
        await service.Client.MustPostAsync(201, "/v1/keys", """{"name":"after-all-that","purpose":"artifacts","spec":"ECC_NIST_P256"}""");
        await service.Client.MustPostAsync(200, "/v1/keys/after-all-that/sign", $$"""{"digest":"{{Expectations.Base64Digest("after")}}"}""");
        Assert.Equal("True", (await service.Client.MustGetAsync("/v1/audit/check"))["intact"]);
    }

    /// <summary>Its refusals have a shape of their own (RFC 6749, section 5.2).</summary>
    private static bool IsOfOAuth(HttpRequestMessage request, JsonAnswer answer) =>
        request.RequestUri!.OriginalString.Contains("/oauth2/", StringComparison.Ordinal) && answer.Json.TryGetProperty("error", out var error) && error.ValueKind == JsonValueKind.String;
}

/// <summary>One request: by the description, and then bent at some places.</summary>
internal sealed class FuzzedRequest(Random random, JsonElement document)
{
    private static readonly string[] Words =
    [
        "release", "tokens", "default", "ES256", "RS256", "none", "ECC_NIST_P256", "ECC_NIST_P384", "artifacts", "assured", "volume", "software", "der",
        "p1363", "pem", "jwk", "signer", "auditor", "api://deploy", "allowed", "keys:Sign", "local-1", "local-99999999", "1.1.1", "2026-01-02T03:04:05Z",
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "AAAA", "", " ", "null", "*", "..", "a/b", "%2F", "\\ud800", "\\u0000", "é", "\\ud83d\\ude00", "-1", "0",
        "9223372036854775807", "http://x", "'", "\\\"", "{{7*7}}", "' OR 1=1 --", "0190b5a8-7e3c-7c4e-8f55-1d2a3b4c5d6e",
    ];

    public static (string Path, string Method, JsonElement Operation)[] Operations(JsonElement document) =>
        document.GetProperty("paths").EnumerateObject()
            .SelectMany(path => path.Value.EnumerateObject().Select(o => (path.Name, o.Name.ToUpperInvariant(), o.Value)))
            .ToArray();

    public HttpRequestMessage Make((string Path, string Method, JsonElement Operation) target)
    {
        var path = new StringBuilder(target.Path);
        var query = new List<string>();
        if (target.Operation.TryGetProperty("parameters", out var parameters))
        {
            foreach (var parameter in parameters.EnumerateArray())
            {
                var name = parameter.GetProperty("name").GetString()!;
                if (parameter.GetProperty("in").GetString() is "path")
                    path.Replace($"{{{name}}}", Chance(0.7) ? Pick("release", "tokens", "default") : Escaped(Word()));
                else if (Chance(0.3))
                    query.Add($"{name}={Escaped(Word())}");
            }
        }

        if (query.Count > 0)
            path.Append('?').AppendJoin('&', query);
        var request = new HttpRequestMessage(new HttpMethod(target.Method), path.ToString());
        if (target.Operation.TryGetProperty("requestBody", out var body))
        {
            var schema = body.GetProperty("content").EnumerateObject().First().Value.GetProperty("schema");
            var bytes = Encoding.UTF8.GetBytes(Value(schema, depth: 0));
            if (Chance(0.08))
                Corrupt(ref bytes);
            request.Content = new ByteArrayContent(bytes);
            request.Content.Headers.TryAddWithoutValidation("Content-Type", Chance(0.97) ? "application/json" : Pick("text/plain", "application/xml", "application/json; charset=utf-16", "nonsense"));
        }

        return request;
    }

    /// <summary>JSON of the schema's type, or now and then of another.</summary>
    private string Value(JsonElement schema, int depth)
    {
        if (Chance(0.05) || depth > 12)
            return Anything(depth);
        if (schema.TryGetProperty("$ref", out var reference))
            return Value(document.GetProperty("components").GetProperty("schemas").GetProperty(reference.GetString()!.Split('/')[^1]), depth + 1);
        if (schema.TryGetProperty("oneOf", out var alternatives) || schema.TryGetProperty("anyOf", out alternatives))
            return Value(alternatives[random.Next(alternatives.GetArrayLength())], depth + 1);
        if (schema.TryGetProperty("enum", out var values))
            return values[random.Next(values.GetArrayLength())].GetRawText();
        var type = !schema.TryGetProperty("type", out var types) ? null
            : types.ValueKind == JsonValueKind.Array ? types[random.Next(types.GetArrayLength())].GetString() : types.GetString();
        return type switch
        {
            "object" when schema.TryGetProperty("properties", out var properties) => Object(schema, properties, depth),
            "object" => $"{{\"{Word()}\":\"{Word()}\"}}",
            "array" => $"[{string.Join(',', Enumerable.Range(0, random.Next(4)).Select(_ => schema.TryGetProperty("items", out var items) ? Value(items, depth + 1) : Anything(depth + 1)))}]",
            "integer" or "number" => Pick("1", "60", "300", "0", "-1", "2147483648", "1e3", "1.5"),
            "boolean" => Pick("true", "false"),
            "null" => "null",
            "string" => $"\"{Word()}\"",
            _ => Anything(depth),
        };
    }

    private string Object(JsonElement schema, JsonElement properties, int depth)
    {
        var required = schema.TryGetProperty("required", out var names) ? names.EnumerateArray().Select(n => n.GetString()).ToHashSet(StringComparer.Ordinal) : [];
        var members = new List<string>();
        foreach (var property in properties.EnumerateObject())
        {
            if (required.Contains(property.Name) ? Chance(0.97) : Chance(0.4))
                members.Add($"\"{property.Name}\":{Member(property.Name, property.Value, depth)}");
        }

        if (Chance(0.04) && members.Count > 0)
            members.Add(members[0]);
        if (Chance(0.04))
            members.Add($"\"{Word()}\":{Anything(depth)}");
        return $"{{{string.Join(',', members)}}}";
    }

    /// <summary>For members that are seldom hit by chance, mostly what makes sense, so that the code behind the parser is reached.</summary>
    private string Member(string name, JsonElement schema, int depth) => !Chance(0.8) ? Value(schema, depth + 1) : name switch
    {
        "digest" => "\"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"",
        "message" or "signature" => "\"AAAA\"",
        "algorithm" => "\"ES256\"",
        "spec" => Pick("\"ECC_NIST_P256\"", "\"ECC_NIST_P521\""),
        "name" => $"\"fuzz-{random.Next(100_000)}\"",
        "profile" => "\"default\"",
        "key" => "\"tokens\"",
        "roles" => "[\"signer\"]",
        "version" => "1",
        _ => Value(schema, depth + 1),
    };

    private string Anything(int depth) => random.Next(8) switch
    {
        0 => "null",
        1 => Pick("true", "false"),
        2 => Pick("0", "-0", "1e400", "-1", "18446744073709551616", "0.1"),
        3 when depth < 20 => $"[{Anything(depth + 1)},{Anything(depth + 1)}]",
        4 when depth < 20 => $"{{\"{Word()}\":{Anything(depth + 1)}}}",
        5 => string.Concat(Enumerable.Repeat("[", 40)) + string.Concat(Enumerable.Repeat("]", 40)),
        6 => $"\"{new string('x', random.Next(3000))}\"",
        _ => $"\"{Word()}\"",
    };

    private void Corrupt(ref byte[] bytes)
    {
        switch (random.Next(3))
        {
            case 0:
                bytes = bytes[..random.Next(bytes.Length + 1)];
                break;
            case 1 when bytes.Length > 0:
                // Often no UTF-8 any more.
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
                break;
            default:
                random.NextBytes(bytes = new byte[random.Next(200)]);
                break;
        }
    }

    private string Word() => Words[random.Next(Words.Length)];

    private string Pick(params string[] choices) => choices[random.Next(choices.Length)];

    private bool Chance(double probability) => random.NextDouble() < probability;

    private static string Escaped(string word) => Uri.EscapeDataString(word.Replace("\\u0000", "", StringComparison.Ordinal));
}
