using System.CommandLine;
using System.Text;

namespace SignSvc.Cli.Declared;

/// <summary>Manifests as they lie in files: several documents in a file, the files of a folder in the order of their names.</summary>
internal static class ManifestFiles
{
    private const int MaxFileBytes = 1024 * 1024;
    private const int MaxFiles = 256;
    private const int MaxKeys = 1000;

    public static readonly Option<string[]> Paths = new("--file", "-f")
    {
        HelpName = "file|folder",
        Required = true,
        Description = "Manifests: a file, - for standard input, or a folder (its *.yaml and *.yml, not those of folders in it). May be given several times.",
    };

    public static readonly Option<string[]> Ignored = MakeIgnored();

    /// <exception cref="CommandException"><see cref="ExitCode.Usage"/>: the first thing that is wrong, with file, line and column.</exception>
    public static async Task<IReadOnlyList<DeclaredKey>> ReadAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        var ignored = parsed.GetValue(Ignored) ?? [];
        var keys = new Dictionary<string, DeclaredKey>(StringComparer.Ordinal);
        foreach (var file in parsed.GetRequiredValue(Paths).SelectMany(FilesAt))
        {
            foreach (var document in YamlTree.Read(InputFile.NameOf(file), await ReadTextAsync(file, cancellationToken)))
            {
                var key = ReadOne(document, ignored);
                if (!keys.TryAdd(key.Name, key))
                    throw key.Place.Refuse($"The key {key.Name} is declared twice: also at {keys[key.Name].Place.File}:{keys[key.Name].Place.Line}.");
                if (keys.Count > MaxKeys)
                    throw key.Place.Refuse($"At most {MaxKeys} keys are declared at a time.");
            }
        }

        RefuseSharedAliases(keys.Values);
        return [.. keys.Values];
    }

    private static IReadOnlyList<string> FilesAt(string path)
    {
        if (!Directory.Exists(path))
            return [path];
        var files = Directory.EnumerateFiles(path)
            .Where(f => Path.GetExtension(f) is ".yaml" or ".yml")
            .Take(MaxFiles + 1)
            .Order(StringComparer.Ordinal)
            .ToArray();
        return files.Length switch
        {
            0 => throw CommandException.Usage($"{path} holds no *.yaml and no *.yml."),
            > MaxFiles => throw CommandException.Usage($"{path} holds more than {MaxFiles} manifest files."),
            _ => files,
        };
    }

    private static async Task<string> ReadTextAsync(string file, CancellationToken cancellationToken)
    {
        var bytes = await InputFile.ReadAsync(file, MaxFileBytes, cancellationToken);
        try
        {
            return new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true).GetString(bytes);
        }
        catch (DecoderFallbackException e)
        {
            throw CommandException.Usage($"{InputFile.NameOf(file)} is not UTF-8.", inner: e);
        }
    }

    private static DeclaredKey ReadOne(YamlMap document, IReadOnlyCollection<string> ignored)
    {
        var head = new Members(document);
        var members = new Members(document);
        return (head.RequiredText("apiVersion"), head.RequiredText("kind")) switch
        {
            (SigningKeyManifest.ApiVersion, SigningKeyManifest.Kind) => SigningKeyManifest.Read(members),
            (KmsKeyManifest.ApiVersion, KmsKeyManifest.Kind) => KmsKeyManifest.Read(members, ignored),
            var (version, kind) => throw document.Place.Refuse(
                $"{version} {kind} is not known here; known are {SigningKeyManifest.ApiVersion} {SigningKeyManifest.Kind} and {KmsKeyManifest.ApiVersion} {KmsKeyManifest.Kind}."),
        };
    }

    private static void RefuseSharedAliases(IEnumerable<DeclaredKey> keys)
    {
        var holders = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var key in keys)
        {
            foreach (var alias in key.Aliases ?? [])
            {
                if (!holders.TryAdd(alias, key.Name))
                    throw key.Place.Refuse($"The alias {alias} is declared for {holders[alias]} and for {key.Name}.");
            }
        }
    }

    private static Option<string[]> MakeIgnored()
    {
        var option = new Option<string[]>("--ignore")
        {
            HelpName = string.Join('|', KmsKeyManifest.Ignorable),
            Description = "Leaves this of KMSKey manifests aside, with a warning, instead of refusing it. May be given several times.",
            DefaultValueFactory = _ => [],
        };
        option.AcceptOnlyFromAmong(KmsKeyManifest.Ignorable);
        return option;
    }
}
