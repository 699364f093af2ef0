using System.Reflection;
using System.Text;
using System.Text.Json;

namespace SignSvc.Tests;

/// <summary>
/// Every endpoint that the service describes, and who may call it: found by calling each as a caller without any right,
/// whose refusal names the action in the audit. An endpoint that refuses nobody fails here.
/// </summary>
public sealed class EndpointTableTests(RunningService service)
{
    private const string Begin = "<!-- who may call what: begin -->";
    private const string End = "<!-- who may call what: end -->";

    /// <summary>Bodies that can be read; where none stands here an endpoint takes none.</summary>
    private static readonly Dictionary<string, string> Bodies = new(StringComparer.Ordinal)
    {
        ["POST /v1/keys"] = """{"name":"NEW","purpose":"artifacts","spec":"ECC_NIST_P256"}""",
        ["PATCH /v1/keys/{key}"] = """{"description":"x"}""",
        ["POST /v1/keys/{key}/versions/{version}/revoke"] = """{"reason":"superseded"}""",
        ["POST /v1/keys/{key}/sign"] = """{"digest":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}""",
        ["POST /v1/keys/{key}/sign-batch"] = """{"items":[{"digest":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}]}""",
        ["POST /v1/keys/{key}/verify"] = """{"digest":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=","signature":"AAAA"}""",
        ["POST /v1/keys/{key}/bundle"] = """{"digest":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}""",
        ["POST /v1/keys/{key}/attest-batch"] = """{"items":[{"digest":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}],"predicateType":"https://example.com/p","predicate":{}}""",
        ["POST /v1/keys/{key}/import"] = $$"""{"token":"x","algorithm":"RSA_AES_KEY_WRAP_SHA_256","wrappedKey":"{{Convert.ToBase64String(new byte[600])}}"}""",
        ["PUT /v1/keys/{key}/versions/{version}/chain"] = """{"pem":"x"}""",
        ["PUT /v1/keys/{key}/policy"] = """{"statements":[]}""",
        ["POST /v1/keys/{key}/grants"] = """{"grantee":"credential:ci","operations":["keys:Sign"]}""",
        ["PUT /v1/aliases/{alias}"] = """{"key":"release"}""",
        ["POST /v1/tokens"] = """{"profile":"default","audience":"a"}""",
        ["POST /v1/tokens/batch"] = """{"profile":"default","items":[{"audience":"a"}]}""",
        ["POST /v1/tokens/explain"] = """{"profile":"default","audience":"a"}""",
        ["POST /v1/tokens/jws"] = """{"profile":"default","payload":"AAAA"}""",
        ["PUT /v1/profiles/{profile}"] = """{"key":"tokens","audiences":["*"]}""",
        ["POST /v1/credentials"] = """{"name":"NEW","roles":["signer"]}""",
        ["PUT /v1/credentials/{credential}/keys"] = """{"keys":[]}""",
        ["POST /v1/approvals/{approval}/approve"] = "{}",
        ["POST /v1/approvals/{approval}/reject"] = """{"reason":"x"}""",
        ["POST /v1/approvals/{approval}/break-glass"] = """{"reason":"x"}""",
        ["PUT /v1/approval-rules/{rule}"] = """{"resources":["key/nobody"],"actions":["keys:Sign"],"required":1,"approvers":["*"]}""",
        ["PUT /v1/policies/{policy}"] = """{"statements":[]}""",
        ["POST /v1/policy/explain"] = """{"action":"keys:Sign","resource":"key/release"}""",
        ["POST /v1/policy/lint"] = """{"statements":[]}""",
    };

    /// <summary>What a client of OAuth 2 sends beside its name and secret.</summary>
    private static readonly Dictionary<string, string> Forms = new(StringComparer.Ordinal)
    {
        ["POST /oauth2/token"] = "grant_type=client_credentials&resource=https://api.example/",
        ["POST /oauth2/introspect"] = "token=x",
        ["POST /oauth2/revoke"] = "token=x",
    };

    /// <summary>What every caller may do who is known at all, and why that tells nothing.</summary>
    private static readonly Dictionary<string, string> ForAnybodyKnown = new(StringComparer.Ordinal)
    {
        ["GET /v1/whoami"] = "shows callers themselves",
    };

    [Fact]
    public async Task Every_endpoint_asks_the_policies_and_the_documentation_says_whom_they_let_in()
    {
        // Addresses of an issuer are there as soon as a profile names it.
        await service.Admin.MustPutAsync(200, "/v1/profiles/table-elsewhere", """{"key":"tokens","audiences":["*"],"issuer":"table"}""");
        await service.Admin.MustPutAsync(200, "/v1/profiles/table-here", """{"key":"tokens","audiences":["*"]}""");
        var rows = new StringBuilder("| | action | admin | operator | signer | auditor |\n|---|---|---|---|---|---|\n");
        using var stranger = service.Process.As(token: null);
        using var powerless = await service.AsAsync("serviceAccountSigner");
        var unasked = new List<string>();
        foreach (var endpoint in await EndpointsAsync())
        {
            if (ForAnybodyKnown.TryGetValue(endpoint, out var why))
            {
                Assert.Equal(401, (await CallAsync(stranger, endpoint)).Code);
                rows.Append($"| `{endpoint}` | any caller: {why} | ✓ | ✓ | ✓ | ✓ |\n");
                continue;
            }

            if ((await CallAsync(stranger, endpoint)).Code != 401)
            {
                if (!IsMeantForStrangers(endpoint))
                    unasked.Add($"{endpoint} is open to strangers");
                rows.Append($"| `{endpoint}` | open | ✓ | ✓ | ✓ | ✓ |\n");
                continue;
            }

            var answer = await CallAsync(powerless, endpoint);
            if (await ActionAsync(answer) is not { } action)
            {
                unasked.Add($"{endpoint} does not ask the policies, or needs a body that can be read (write one above): {answer}");
                continue;
            }

            var marks = await Task.WhenAll(RunningService.Roles.Select(role => service.MayAsync(role, action)));
            rows.Append($"| `{endpoint}` | `{action}` | {string.Join(" | ", marks.Select(m => m ? "✓" : ""))} |\n");
            foreach (var role in RunningService.Roles.Where((_, i) => !marks[i]))
            {
                using var client = await service.AsAsync(role);
                Assert.Equal(action, await ActionAsync(await CallAsync(client, endpoint)));
            }
        }

        Assert.True(unasked.Count == 0, string.Join('\n', unasked));
        await MustStandInDocumentationAsync(rows.ToString());
    }

    /// <summary>The meters are open to this machine alone, unless the settings say otherwise.</summary>
    private static bool IsMeantForStrangers(string endpoint) =>
        endpoint is "GET /metrics" or "GET /schemas/keys.json" || endpoint.EndsWith("jwks.json", StringComparison.Ordinal) ||
        endpoint.Contains(" /.well-known/", StringComparison.Ordinal) || endpoint.Contains(" /healthz/", StringComparison.Ordinal)
        || endpoint.StartsWith("GET /issuers/", StringComparison.Ordinal);

    private async Task<List<string>> EndpointsAsync()
    {
        using var client = service.Process.As(token: null);
        var paths = (await client.MustGetAsync("/openapi/v1.json")).Json.GetProperty("paths");
        var endpoints = paths.EnumerateObject()
            .SelectMany(p => p.Value.EnumerateObject().Where(m => m.Value.ValueKind == JsonValueKind.Object && m.Value.TryGetProperty("responses", out _))
                .Select(m => $"{m.Name.ToUpperInvariant()} {Tidy(p.Name)}"))
            .Order(StringComparer.Ordinal)
            .ToList();
        Assert.True(endpoints.Count > 30, string.Join(", ", endpoints));
        return endpoints;
    }

    private static string Tidy(string path) => path.Length > 1 ? path.TrimEnd('/') : path;

    /// <summary>OAuth 2 knows its clients by its own means: here by the secret in the form.</summary>
    private Task<JsonAnswer> CallAsClientAsync(HttpClient client, string path, string form)
    {
        if (client.DefaultRequestHeaders.Authorization?.Parameter is { } secret)
            form += $"&profile={(path.StartsWith("/issuers/", StringComparison.Ordinal) ? "table-elsewhere" : "table-here")}&client_id={secret.Split('_')[1]}&client_secret={secret}";
        return service.Process.As(token: null).CallAsync(new HttpRequestMessage(HttpMethod.Post, path)
        {
            Content = new StringContent(form, Encoding.UTF8, "application/x-www-form-urlencoded"),
        });
    }

    private Task<JsonAnswer> CallAsync(HttpClient client, string endpoint)
    {
        var (method, path) = (endpoint.Split(' ')[0], endpoint.Split(' ')[1]);
        path = path.Replace("{key}", "release", StringComparison.Ordinal).Replace("{profile}", "default", StringComparison.Ordinal);
        path = path.Replace("{issuer}", "table", StringComparison.Ordinal);
        if (Forms.GetValueOrDefault(endpoint.Replace("/issuers/{issuer}", "", StringComparison.Ordinal)) is { } form)
            return CallAsClientAsync(client, path, form);
        path = string.Join('/', path.Split('/').Select(s => s switch { "{version}" => "1", _ when s.StartsWith('{') => "nobody", _ => s }));
        var body = Bodies.GetValueOrDefault(endpoint, "").Replace("NEW", RunningService.NewName("table"), StringComparison.Ordinal);
        return client.CallAsync(new HttpMethod(method), path, body);
    }

    /// <returns>The action that a refusal is on record for; null: it is none. A batch refuses item by item.</returns>
    private async Task<string?> ActionAsync(JsonAnswer answer)
    {
        if (!answer.Text.StartsWith('{'))
            return null;
        if (AuditIdOf(answer) is not { } auditId)
            return null;
        var record = (await service.Admin.MustGetAsync($"/v1/audit?auditId={auditId}")).Json.GetProperty("records")[0];
        Assert.Equal("denied", record.GetProperty("outcome").GetString());
        return record.GetProperty("action").GetString()!;
    }

    /// <returns>Null: it is no refusal for lack of a right.</returns>
    private static string? AuditIdOf(JsonAnswer answer)
    {
        if (answer.Code == 400 && answer.Json.TryGetProperty("error", out var error))
            return error.GetString() is "unauthorized_client" ? answer["audit_id"] : null;
        var problem = answer.Code == 200 && answer.Json.TryGetProperty("results", out var results) ? results[0].GetProperty("problem") : answer.Json;
        return problem.TryGetProperty("status", out var status) && status.GetInt32() == 403 ? problem.GetProperty("auditId").GetString() : null;
    }

    /// <summary>As the build knew it: a deterministic build hides paths from the compiler.</summary>
    private static string DocsFolder => typeof(EndpointTableTests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key is "DocsFolder").Value!;

    /// <summary>With SIGNSVC_WRITE_DOCS=1 the documentation is brought up to date instead.</summary>
    private static async Task MustStandInDocumentationAsync(string table)
    {
        var file = Path.Combine(DocsFolder, "api.md");
        var text = await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken);
        var (begin, end) = (text.IndexOf(Begin, StringComparison.Ordinal), text.IndexOf(End, StringComparison.Ordinal));
        Assert.True(begin >= 0 && end > begin, $"docs/api.md lacks the marks {Begin} and {End}.");
        var expected = $"{Begin}\n{table}";
        if (string.Equals(text[begin..end], expected, StringComparison.Ordinal))
            return;
        if (string.Equals(Environment.GetEnvironmentVariable("SIGNSVC_WRITE_DOCS"), "1", StringComparison.Ordinal))
            await File.WriteAllTextAsync(file, $"{text[..begin]}{expected}{text[end..]}", TestContext.Current.CancellationToken);
        else
            Assert.Fail($"docs/api.md does not say who may call what. Run this test with SIGNSVC_WRITE_DOCS=1.\n{table}");
    }
}
