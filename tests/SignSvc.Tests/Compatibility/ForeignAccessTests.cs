using System.Reflection;
using System.Text.RegularExpressions;
using Amazon.KeyManagementService;

namespace SignSvc.Tests.Compatibility;

/// <summary>
/// Whatever AWS KMS and Vault's Transit have, asked for as every role: what is served is what <c>docs/compatibility.md</c>
/// lists, and who lacks its action is refused and on record with that action.
/// </summary>
public sealed partial class ForeignAccessTests(RunningService service)
{
    /// <summary>Beside those of people and programs one that may do nothing of all this.</summary>
    private static readonly string[] Roles = [.. RunningService.Roles, "serviceAccountSigner"];

    /// <summary>Parameters of the operations that take more than a key.</summary>
    private static readonly Dictionary<string, string> Parameters = new(StringComparer.Ordinal)
    {
        ["Sign"] = """ "KeyId":"THE-KEY","Message":"AAAA","SigningAlgorithm":"ECDSA_SHA_256" """,
        ["Verify"] = """ "KeyId":"THE-KEY","Message":"AAAA","SigningAlgorithm":"ECDSA_SHA_256","Signature":"AAAA" """,
        ["ListKeys"] = "",
        ["ListAliases"] = "",
        ["CreateKey"] = """ "KeySpec":"ECC_NIST_P256","KeyUsage":"SIGN_VERIFY" """,
        ["UpdateKeyDescription"] = """ "KeyId":"THE-KEY","Description":"x" """,
        ["CreateAlias"] = """ "AliasName":"alias/foreign/denied","TargetKeyId":"THE-KEY" """,
        ["UpdateAlias"] = """ "AliasName":"alias/foreign/denied","TargetKeyId":"THE-KEY" """,
        ["DeleteAlias"] = """ "AliasName":"alias/foreign/denied" """,
        ["TagResource"] = """ "KeyId":"THE-KEY","Tags":[{"TagKey":"a","TagValue":"b"}] """,
        ["UntagResource"] = """ "KeyId":"THE-KEY","TagKeys":["a"] """,
    };

    /// <summary>Transit's addresses, as Vault's documentation has them, with a body that can be read.</summary>
    private static readonly (string Address, string Body)[] Transit =
    [
        ("POST keys/NEW", """{"type":"ecdsa-p256"}"""), ("GET keys/{key}", ""), ("LIST keys", ""), ("DELETE keys/{key}", ""), ("POST keys/{key}/config", """{"min_decryption_version":1}"""),
        ("POST keys/{key}/rotate", ""), ("POST keys/{key}/trim", """{"min_available_version":1}"""), ("GET export/public-key/{key}", ""),
        ("GET export/public-key/{key}/1", ""), ("POST sign/{key}", """{"input":"AAAA"}"""), ("POST sign/{key}/sha2-256", """{"input":"AAAA"}"""),
        ("POST verify/{key}", """{"input":"AAAA","signature":"vault:v1:AAAA"}"""), ("POST verify/{key}/sha2-256", """{"input":"AAAA","signature":"vault:v1:AAAA"}"""),
        ("POST encrypt/{key}", """{"plaintext":"AAAA"}"""), ("POST decrypt/{key}", """{"ciphertext":"vault:v1:AAAA"}"""), ("POST rewrap/{key}", """{"ciphertext":"vault:v1:AAAA"}"""),
        ("POST datakey/plaintext/{key}", ""), ("POST random/16", ""), ("POST hash/sha2-256", """{"input":"AAAA"}"""), ("POST hmac/{key}", """{"input":"AAAA"}"""),
        ("GET backup/{key}", ""), ("POST restore/{key}", """{"backup":"AAAA"}"""), ("POST keys/NEW/import", """{"ciphertext":"AAAA"}"""),
        ("POST keys/{key}/import_version", """{"ciphertext":"AAAA"}"""), ("GET wrapping_key", ""), ("GET cache-config", ""), ("POST cache-config", """{"size":1}"""),
        ("GET config/keys", ""), ("POST config/keys", "{}"), ("POST keys/{key}/csr", ""), ("POST keys/{key}/set-certificate", """{"certificate_chain":"x"}"""),
        ("POST byok-export/{key}/{key}", ""),
    ];

    [Fact]
    public async Task Every_operation_of_AWS_KMS_asks_the_policies_for_the_documented_action_or_is_unknown()
    {
        var documented = await DocumentedAsync(KmsRow());
        var operations = typeof(AmazonKeyManagementServiceRequest).Assembly.GetTypes()
            .Where(t => t.IsSubclassOf(typeof(AmazonKeyManagementServiceRequest)) && !t.IsAbstract)
            .Select(t => t.Name[..^"Request".Length])
            .ToArray();
        Assert.True(operations.Length > 40, string.Join(", ", operations));
        var clients = await Task.WhenAll(Roles.Select(r => AwsClient.OfAsync(service, r)));
        var id = (await service.Admin.MustGetAsync("/v1/keys/release"))["id"];

        var served = new List<string>();
        foreach (var operation in operations)
        {
            var body = $"{{{Parameters.GetValueOrDefault(operation, """ "KeyId":"THE-KEY" """).Replace("THE-KEY", id, StringComparison.Ordinal)}}}";
            if (!documented.TryGetValue(operation, out var action))
            {
                await clients[0].MustRefuseAsync("UnknownOperationException", operation, body);
                continue;
            }

            served.Add(operation);
            for (var i = 0; i < Roles.Length; i++)
            {
                if (await service.MayAsync(Roles[i], action))
                    continue;
                var refused = await clients[i].CallAsync(operation, body);
                AwsClient.MustBeRefusal(refused, "AccessDeniedException");
                Assert.Equal(action, await ActionAsync(refused));
            }
        }

        Assert.Equal(documented.Keys.Order(StringComparer.Ordinal), served.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Every_address_of_Transit_asks_the_policies_for_the_documented_action_or_is_not_there()
    {
        var documented = await DocumentedAsync(TransitRow());
        var clients = await Task.WhenAll(Roles.Select(r => service.AsAsync(r)));
        var served = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (address, body) in Transit)
        {
            var (method, path) = (address.Split(' ')[0], address.Split(' ')[1].Replace("{key}", "release", StringComparison.Ordinal).Replace("NEW", RunningService.NewName("foreign"), StringComparison.Ordinal));
            var row = documented.Keys.SingleOrDefault(d => Matches(d, address));
            for (var i = 0; i < Roles.Length; i++)
            {
                if (row is not null && await service.MayAsync(Roles[i], documented[row]))
                    continue;
                var refused = await clients[i].CallAsync(new HttpMethod(method), $"/v1/transit/{path}", body);
                Assert.True(row is null ? refused.Code is 404 or 405 or 501 or 400 : refused.Code == 403, $"{address} as {Roles[i]}: {refused}");
                if (row is not null)
                    Assert.Equal(documented[row], await ActionAsync(refused));
            }

            if (row is not null)
                served.Add(row);
        }

        Assert.Equal(documented.Keys.Order(StringComparer.Ordinal), served.Order(StringComparer.Ordinal));
    }

    /// <summary><c>sign/{key}[/{hash}]</c> is two addresses.</summary>
    private static bool Matches(string documented, string address)
    {
        var pattern = Regex.Escape(documented).Replace("\\[", "(", StringComparison.Ordinal).Replace("]", ")?", StringComparison.Ordinal);
        pattern = Regex.Replace(pattern, @"\\\{[a-z]+}", "[^/ ]+", RegexOptions.None, TimeSpan.FromSeconds(1));
        return Regex.IsMatch(address, $"^{pattern}$", RegexOptions.None, TimeSpan.FromSeconds(1));
    }

    private async Task<string?> ActionAsync(JsonAnswer refused)
    {
        var auditId = refused.Headers.GetValues("signsvc-audit-id").Single();
        return (await service.Admin.MustGetAsync($"/v1/audit?auditId={auditId}")).Json.GetProperty("records")[0].GetProperty("action").GetString();
    }

    /// <summary>Of every operation its action: one for all of a row, or as many as the row has operations.</summary>
    private static async Task<Dictionary<string, string>> DocumentedAsync(Regex row)
    {
        var docs = typeof(ForeignAccessTests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key is "DocsFolder").Value!;
        var text = await File.ReadAllTextAsync(Path.Combine(docs, "compatibility.md"), TestContext.Current.CancellationToken);
        var found = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (Match match in row.Matches(text))
        {
            var (operations, actions) = (Quoted(match.Groups["served"].Value), Quoted(match.Groups["actions"].Value));
            Assert.True(actions.Length == 1 || actions.Length == operations.Length, match.Value);
            for (var i = 0; i < operations.Length; i++)
                found.Add(operations[i].Replace("transit/", "", StringComparison.Ordinal), actions[Math.Min(i, actions.Length - 1)]);
        }

        Assert.True(found.Count > 5, $"docs/compatibility.md has no table of {row}.");
        return found;
    }

    private static string[] Quoted(string cell) => [.. cell.Split('`').Where((_, i) => i % 2 == 1)];

    [GeneratedRegex("(?m)^\\| (?<served>(`[A-Z][A-Za-z]+`(, )?)+) \\| (?<actions>(`[a-z]+:[A-Za-z]+`(, )?)+) \\|", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex KmsRow();

    [GeneratedRegex("(?m)^\\| (?<served>`[A-Z]+ transit/[^`]+`) \\| (?<actions>`[a-z]+:[A-Za-z]+`) \\|", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex TransitRow();
}
