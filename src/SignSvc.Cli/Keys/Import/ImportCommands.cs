using System.CommandLine;
using System.Security.Cryptography;
using SignSvc.Cli.Http;
using SignSvc.Cli.Output;
using SignSvc.Signing.Keys.Import;

namespace SignSvc.Cli.Keys.Import;

/// <summary><c>signsvc keys import-parameters</c> and <c>keys import</c>: private keys from outside, wrapped before they leave their owner.</summary>
internal static class ImportCommands
{
    /// <summary>Over an RSA-4096 key in PEM, and over what it becomes when it is wrapped.</summary>
    private const int MaxFileBytes = 16 * 1024;

    private const string KeepForLater = "With --wrap-only FILE the material is wrapped once; 'keys import --wrapped FILE --parameters …' can then be repeated as it is.";

    private static readonly Option<string?> ParametersFile = Parameters.Text(
        "--parameters", "file", "What 'keys import-parameters -o json' printed. Default: they are asked for.");

    private static readonly Option<string?> Algorithm = Parameters.OneOf(
        "--algorithm", "How the material is wrapped. RSA_OAEP_SHA_256 is for EC keys alone. Default: RSA_AES_KEY_WRAP_SHA_256.", [.. WrappedMaterial.Algorithms]);

    public static IEnumerable<Command> Create() => [CreateParameters(), CreateImport()];

    private static Command CreateParameters()
    {
        var command = new Command("import-parameters", "Asks for a wrapping key and a token, good for one import into this key.") { KeyLifecycleCommands.Key };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            var answer = await AskAsync(service, parsed.GetRequiredValue(KeyLifecycleCommands.Key), cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.ImportParametersAnswer, WriteParameters, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateImport()
    {
        var file = Parameters.Text("--key-file", "file", "The private key: PEM, or DER PKCS#8, not encrypted; - for standard input. It leaves this machine wrapped alone.");
        var wrapped = Parameters.Text("--wrapped", "file", "Material that is wrapped already, under the wrapping key of --parameters.");
        var wrapOnly = Parameters.Text("--wrap-only", "file", "Writes the wrapped material there and sends nothing: for machines without a network, and for imports that need approval.");
        var later = new Option<bool>("--when-due") { Description = "It takes over when the period of the version before it ends. Default: as soon as its lead is over." };
        var command = new Command("import", "Imports a private key as a key's next version.")
        {
            KeyLifecycleCommands.Key, file, wrapped, ParametersFile, Algorithm, wrapOnly, later,
        };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var (keyFile, wrappedFile, outputFile) = (parsed.GetValue(file), parsed.GetValue(wrapped), parsed.GetValue(wrapOnly));
            if (keyFile is null == wrappedFile is null)
                throw CommandException.Usage("Name either a private key with --key-file, or wrapped material with --wrapped.");
            if ((wrappedFile is not null || outputFile is not null) && parsed.GetValue(ParametersFile) is null)
                throw CommandException.Usage("Wrapped material belongs to its parameters: name them with --parameters.");
            if (outputFile is not null)
                return await WrapOnlyAsync(parsed, keyFile, outputFile, cancellationToken);

            using var service = ServiceClient.Connect(parsed);
            var key = parsed.GetRequiredValue(KeyLifecycleCommands.Key);
            var parameters = await ParametersAsync(parsed, service, key, cancellationToken);
            var material = wrappedFile is null
                ? await WrapAsync(parsed, parameters, keyFile!, cancellationToken)
                : await InputFile.ReadAsync(wrappedFile, MaxFileBytes, cancellationToken);
            var body = new ImportBody(parameters.Token, AlgorithmOf(parsed), material, !parsed.GetValue(later));
            var answer = await SendAsync(service, key, body, isRepeatable: wrappedFile is not null, cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.KeyAnswer, KeyCommands.WriteOne, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static async Task<int> WrapOnlyAsync(ParseResult parsed, string? keyFile, string outputFile, CancellationToken cancellationToken)
    {
        if (keyFile is null)
            throw CommandException.Usage("--wrap-only wraps the private key of --key-file.");
        using var output = OutputFile.Open(outputFile);
        var parameters = await ReadParametersAsync(parsed.GetRequiredValue(ParametersFile)!, cancellationToken);
        await output.WriteAsync(await WrapAsync(parsed, parameters, keyFile, cancellationToken), cancellationToken);
        return ExitCode.Ok;
    }

    /// <summary>What is wrapped anew is another request: an approval of this one would not be for it.</summary>
    private static async Task<Answer> SendAsync(ServiceClient service, string key, ImportBody body, bool isRepeatable, CancellationToken cancellationToken)
    {
        try
        {
            return await service.PostAsync($"{ApiPath.Key(key)}/import", body, CliJson.Default.ImportBody, cancellationToken);
        }
        catch (CommandException e) when (e.Status == 202 && !isRepeatable)
        {
            throw new CommandException(e.ExitCode, e.Message, KeepForLater, e, e.Status);
        }
    }

    private static async Task<byte[]> WrapAsync(ParseResult parsed, ImportParametersAnswer parameters, string keyFile, CancellationToken cancellationToken)
    {
        var content = await InputFile.ReadAsync(keyFile, MaxFileBytes, cancellationToken);
        byte[]? pkcs8 = null;
        try
        {
            pkcs8 = PrivateKeyFile.ToPkcs8(content, InputFile.NameOf(keyFile));
            using var wrapping = PrivateKeyFile.ReadWrappingKey(parameters.WrappingPublicKey);
            var algorithm = AlgorithmOf(parsed) is WrappedMaterial.RsaOaepSha256 ? WrappingAlgorithm.RsaOaepSha256 : WrappingAlgorithm.RsaAesKeyWrapSha256;
            return WrappedMaterial.Wrap(algorithm, wrapping, pkcs8).Bytes.ToArray();
        }
        catch (CryptographicException e)
        {
            throw CommandException.Usage(
                $"{InputFile.NameOf(keyFile)} cannot be wrapped: {e.Message}", "RSA keys do not fit into RSA_OAEP_SHA_256: leave --algorithm away.", e);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(content);
            CryptographicOperations.ZeroMemory(pkcs8);
        }
    }

    private static async Task<ImportParametersAnswer> ParametersAsync(ParseResult parsed, ServiceClient service, string key, CancellationToken cancellationToken) =>
        parsed.GetValue(ParametersFile) is { } file
            ? await ReadParametersAsync(file, cancellationToken)
            : (await AskAsync(service, key, cancellationToken)).Read(CliJson.Default.ImportParametersAnswer);

    private static async Task<ImportParametersAnswer> ReadParametersAsync(string file, CancellationToken cancellationToken)
    {
        var content = await InputFile.ReadAsync(file, MaxFileBytes, cancellationToken);
        var parameters = new Answer(content).Read(CliJson.Default.ImportParametersAnswer);
        return parameters is { Token.Length: > 0, WrappingPublicKey.Length: > 0 }
            ? parameters
            : throw CommandException.Usage($"{InputFile.NameOf(file)} is not what 'signsvc keys import-parameters KEY -o json' prints.");
    }

    private static Task<Answer> AskAsync(ServiceClient service, string key, CancellationToken cancellationToken) =>
        service.PostAsync($"{ApiPath.Key(key)}/import-parameters", cancellationToken);

    private static string AlgorithmOf(ParseResult parsed) => parsed.GetValue(Algorithm) ?? WrappedMaterial.RsaAesKeyWrapSha256;

    private static void WriteParameters(ImportParametersAnswer parameters)
    {
        Tables.WriteFacts(
            ("token", Cell.Of(parameters.Token)),
            ("expires", Cell.Of(parameters.ExpiresAt)),
            ("algorithms", Cell.Of(string.Join(", ", parameters.Algorithms))));
        Console.Out.WriteLine(parameters.WrappingPublicKey.TrimEnd());
    }
}
