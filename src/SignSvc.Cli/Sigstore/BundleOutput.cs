using System.CommandLine;
using System.Text;
using SignSvc.Cli.Http;
using SignSvc.Cli.Output;
using SignSvc.Cli.Signing;

namespace SignSvc.Cli.Sigstore;

/// <summary>Asks for a bundle and puts it where it is wanted; the files are opened before anything is signed.</summary>
internal sealed class BundleOutput : IDisposable
{
    public static readonly Option<string?> BundleFile = Parameters.Text("--bundle", "file", "Writes the bundle there instead of to standard output.");
    public static readonly Option<string?> SignatureFile = Parameters.Text("--output-signature", "file", "Writes the bare signature, too: base64, as 'cosign verify-blob --signature' reads it.");

    private readonly OutputFile? _bundle;
    private readonly OutputFile? _signature;

    private BundleOutput(OutputFile? bundle, OutputFile? signature)
    {
        _bundle = bundle;
        _signature = signature;
    }

    public static BundleOutput Open(ParseResult parsed)
    {
        var bundle = parsed.GetValue(BundleFile) is { } bundleFile ? OutputFile.Open(bundleFile) : null;
        try
        {
            return new BundleOutput(bundle, parsed.GetValue(SignatureFile) is { } signatureFile ? OutputFile.Open(signatureFile) : null);
        }
        catch
        {
            bundle?.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        _bundle?.Dispose();
        _signature?.Dispose();
    }

    public async Task<int> SignAsync(
        ParseResult parsed, ServiceClient service, string key, BundleBody body, string what, CancellationToken cancellationToken)
    {
        var answer = await service.PostAsync($"{ApiPath.Key(key)}/bundle", body, CliJson.Default.BundleBody, cancellationToken);
        var signed = answer.Read(CliJson.Default.BundleAnswer);
        var text = Encoding.UTF8.GetBytes(signed.Bundle.GetRawText() + "\n");
        if (_signature is not null)
            await _signature.WriteAsync(SignatureText.Write(signed.Signature, isRaw: false), cancellationToken);
        if (_bundle is not null)
            await _bundle.WriteAsync(text, cancellationToken);
        if (parsed.WantsJson())
        {
            await StandardOutput.WriteLineAsync(answer.Body, cancellationToken);
            return ExitCode.Ok;
        }

        if (_bundle is null)
            await StandardOutput.WriteAsync(text, cancellationToken);
        Remarks.Write(
            $"Signed {what} with {key} version {signed.Version}: {signed.Algorithm}, protection {signed.Protection}, kid {signed.Kid}, audit {signed.AuditId}");
        foreach (var warning in signed.Warnings ?? [])
            Remarks.Warn(warning);
        return ExitCode.Ok;
    }
}
