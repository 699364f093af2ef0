using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.Data.Sqlite;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Software;
using SignSvc.Signing.Keys;

namespace SignSvc.Tests;

/// <summary>Promise 22, as far as disk and output go.</summary>
public sealed class SecretsTests
{
    /// <summary>The keys are learnt as only their owner can: by the root key. Then they are looked for as a thief would.</summary>
    [Fact]
    public async Task No_private_key_stands_in_a_file_or_in_the_output()
    {
        await using var service = await ServiceProcess.StartAsync(new ServiceOptions
        {
            Environment = new Dictionary<string, string>(StringComparer.Ordinal) { ["Logging__LogLevel__Default"] = "Trace", ["Logging__LogLevel__Microsoft.AspNetCore"] = "Trace" },
        });
        await service.Client.MustPostAsync(201, "/v1/keys", """{"name":"secret","purpose":"artifacts","spec":"RSA_2048"}""");
        foreach (var key in (string[])["release", "secret"])
            await service.Client.MustPostAsync(200, $"/v1/keys/{key}/sign", $$"""{"digest":"{{Expectations.Base64Digest("x")}}"}""");
        await service.Client.MustPostAsync(201, "/v1/tokens", """{"profile":"default","audience":"a"}""");

        var secrets = await ReadSecretsAsync(service.Data);
        Assert.Equal(3, secrets.Count(s => s.Length == 32));
        // Running, with everything in the log, and stopped, with everything in the database.
        await MustNotHoldAsync(service, secrets);
        Assert.Equal(0, await service.StopAsync());
        await MustNotHoldAsync(service, secrets);
    }

    private static async Task MustNotHoldAsync(ServiceProcess service, List<byte[]> secrets)
    {
        var places = new List<(string Name, byte[] Content)> { ("output", Encoding.UTF8.GetBytes(service.Output + service.Error)) };
        foreach (var file in Directory.GetFiles(service.Data, "*", SearchOption.AllDirectories).Where(f => Path.GetFileName(f) is not "lock"))
            places.Add((file, await File.ReadAllBytesAsync(file, TestContext.Current.CancellationToken)));
        Assert.True(places.Count >= 4);
        foreach (var (name, content) in places)
        {
            foreach (var secret in secrets)
            {
                // The root key's own file is the one place where one of them belongs.
                var isAtHome = Path.GetFileName(name) is "root.key" && secret == secrets[0];
                Assert.Equal(isAtHome, Forms(secret).Any(form => content.AsSpan().IndexOf(form) >= 0));
            }
        }
    }

    private static IEnumerable<byte[]> Forms(byte[] secret)
    {
        yield return secret;
        yield return [.. secret.Reverse()];
        yield return Encoding.ASCII.GetBytes(Convert.ToHexString(secret));
        yield return Encoding.ASCII.GetBytes(Convert.ToHexStringLower(secret));
        // Inside a longer base64 text the secret begins at one of three places; its outermost characters depend on the neighbours.
        for (var shift = 0; shift < 3; shift++)
        {
            var text = Convert.ToBase64String([.. new byte[shift], .. secret]);
            var inner = text[(shift == 0 ? 0 : 4)..(text.Length - 4)];
            yield return Encoding.ASCII.GetBytes(inner);
            yield return Encoding.ASCII.GetBytes(inner.Replace('+', '-').Replace('/', '_'));
        }
    }

    /// <summary>The root key first, then each EC scalar, and of RSA the exponent and both primes.</summary>
    private static async Task<List<byte[]>> ReadSecretsAsync(string data)
    {
        var root = Convert.FromBase64String((await File.ReadAllTextAsync(Path.Combine(data, "root.key"))).Trim());
        var secrets = new List<byte[]> { root };
        using var rootKey = new RootKey(root);
        await using var connection = new SqliteConnection($"Data Source={Path.Combine(data, "signsvc.db")};Mode=ReadOnly;Pooling=False");
        await connection.OpenAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = "SELECT body FROM documents WHERE kind = 'key'";
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            var key = JsonSerializer.Deserialize(reader.GetFieldValue<byte[]>(0), SignSvc.Signing.SigningJson.Default.Key)!;
            var version = key.Versions[0];
            var pkcs8 = await rootKey.UnwrapAsync(
                Convert.FromBase64String(version.Handle!.Split(':')[^1]), new WrappingContext(key.Id, version.Number, key.Purpose), CancellationToken.None);
            if (key.Spec.Family == KeyFamily.Ecc)
            {
                using var ecdsa = ECDsa.Create();
                ecdsa.ImportPkcs8PrivateKey(pkcs8, out _);
                Assert.Equal(version.PublicKey.Spki.ToArray(), ecdsa.ExportSubjectPublicKeyInfo());
                secrets.Add(ecdsa.ExportParameters(includePrivateParameters: true).D!);
            }
            else
            {
                using var rsa = RSA.Create();
                rsa.ImportPkcs8PrivateKey(pkcs8, out _);
                var parameters = rsa.ExportParameters(includePrivateParameters: true);
                secrets.AddRange([parameters.D!, parameters.P!, parameters.Q!]);
            }
        }

        return secrets;
    }
}
