using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using SignSvc.Cli.Http;
using SignSvc.Cli.Output;

namespace SignSvc.Cli.Hsm;

/// <summary>
/// <c>signsvc hsm</c>: what a PKCS#11 module offers and whether it fits, before the service is configured with it. The
/// module is loaded into this process; the service is not asked.
/// </summary>
internal static class HsmCommands
{
    private static readonly Option<string> Module = new("--module")
    {
        HelpName = "path",
        Description = "The vendor's PKCS#11 library.",
        Required = true,
    };

    private static readonly Option<string?> InitializationParameters = Parameters.Text(
        "--init-params", "text", "Handed to C_Initialize; NSS softokn needs it, others must not have it.");

    private static readonly Option<string?> Token = Parameters.Text(
        "--token", "label", "Label or serial number of the token. Default: the only one that is initialised.");

    private static readonly Option<string?> PinFile = Parameters.Text("--pin-file", "path", "A file that holds the PIN.");

    private static readonly Option<string?> PinVariable = Parameters.Text(
        "--pin-env", "name", "The environment variable that holds the PIN.");

    private const string Description =
        """
        What a PKCS#11 module offers and whether it fits, before the service is configured with it. Loads the module; the
        service is not asked.

        Exit codes: 0 done, for a check: it fits; 1 it does not fit; 2 wrong usage, no PKCS#11 module, no such token, or no
        PIN; 4 the module or the token does not answer now.
        """;

    public static Command Create() => new("hsm", Description)
    {
        CreateSlots(),
        CreateMechanisms(),
        CreateKeys(),
        CreateCheck(),
    };

    private static Command CreateSlots()
    {
        var command = new Command("slots", "Lists the slots that hold a token.") { Module, InitializationParameters };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var answer = await HsmModule.AskAsync(ModuleOf(parsed), survey => new HsmSlots(survey.Module, [.. survey.Slots()]), cancellationToken);
            await ShowAsync(parsed, answer, CliJson.Default.HsmSlots, WriteSlots, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateMechanisms()
    {
        var command = new Command("mechanisms", "Lists what a token can do: PKCS#11's names for what SignSvc uses, numbers for the rest.")
        {
            Module, InitializationParameters, Token,
        };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var token = parsed.GetValue(Token);
            var answer = await HsmModule.AskAsync(ModuleOf(parsed), survey =>
            {
                var slot = HsmModule.Choose(survey.Slots(), token);
                return new HsmMechanisms(slot, [.. survey.Mechanisms(slot.Id)]);
            }, cancellationToken);
            await ShowAsync(parsed, answer, CliJson.Default.HsmMechanisms, WriteMechanisms, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateKeys()
    {
        var command = new Command("keys", "Lists the private keys in a token, with the names under which they can be adopted.")
        {
            Module, InitializationParameters, Token, PinFile, PinVariable,
        };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var module = ModuleOf(parsed);
            var pin = HsmPin.Of(parsed, PinFile, PinVariable);
            var token = parsed.GetValue(Token);
            var slot = await HsmModule.AskAsync(module, survey => HsmModule.Choose(survey.Slots(), token), cancellationToken);
            var keys = await HsmModule.ListKeysAsync(module, slot, pin, cancellationToken);
            await ShowAsync(parsed, new HsmKeys([.. keys.Select(HsmKey.Of)]), CliJson.Default.HsmKeys, WriteKeys, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateCheck()
    {
        var command = new Command(
            "check", "Says what SignSvc wants of a token and whether it is there, and the settings that use it. With a PIN it logs in too.")
        {
            Module, InitializationParameters, Token, PinFile, PinVariable,
        };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var module = ModuleOf(parsed);
            var pin = HsmPin.Of(parsed, PinFile, PinVariable);
            var check = await HsmCheck.RunAsync(module, parsed.GetValue(Token), pin, cancellationToken);
            await ShowAsync(parsed, check, CliJson.Default.HsmCheck, WriteCheck, cancellationToken);
            return check.Fits ? ExitCode.Ok : ExitCode.NotValid;
        });
        return command;
    }

    private static HsmModule ModuleOf(ParseResult parsed) =>
        HsmModule.At(parsed.GetRequiredValue(Module), parsed.GetValue(InitializationParameters));

    private static async Task ShowAsync<T>(
        ParseResult parsed, T answer, JsonTypeInfo<T> type, Action<T> forPeople, CancellationToken cancellationToken)
    {
        if (parsed.WantsJson())
            await StandardOutput.WriteLineAsync(JsonSerializer.SerializeToUtf8Bytes(answer, type), cancellationToken);
        else
            forPeople(answer);
    }

    private static void WriteSlots(HsmSlots slots)
    {
        Tables.Write(
            ["SLOT", "LABEL", "SERIAL", "MODEL", "MANUFACTURER", "HARDWARE", "INITIALISED", "LOGIN", "PIN", "WRITABLE"],
            slots.Slots.Select(s => (Cell[])
            [
                Cell.Of(s.Id.ToString(CultureInfo.InvariantCulture)), Cell.Of(s.Label), Cell.Of(s.Serial), Cell.Of(s.Model),
                Cell.Of(s.Manufacturer), YesOrNo(s.IsHardware), YesOrNo(s.IsInitialized), Cell.Of(s.NeedsLogin ? "yes" : "no"),
                new Cell(s.Pin, Stands: s.Pin is not "ok"),
                YesOrNo(s.IsWritable),
            ]));
        var module = slots.Module;
        Remarks.Write($"{module.Description} {module.LibraryVersion} by {module.Manufacturer}, PKCS#11 {module.CryptokiVersion}.");
    }

    private static void WriteMechanisms(HsmMechanisms answer) => Tables.Write(
        ["MECHANISM", "LEAST KEY SIZE", "MOST KEY SIZE"],
        answer.Mechanisms.OrderBy(m => m.Name, StringComparer.Ordinal).Select(m => (Cell[])
        [
            Cell.Of(m.Name), Cell.Of(m.LeastKeySize.ToString(CultureInfo.InvariantCulture)),
            Cell.Of(m.MostKeySize.ToString(CultureInfo.InvariantCulture)),
        ]));

    private static void WriteKeys(HsmKeys answer)
    {
        Tables.Write(
            ["ADOPT AS", "LABEL", "SPEC", "SIGNS", "PROTECTION", "KID"],
            answer.Keys.Select(k => (Cell[])
            [
                Cell.Of(k.Reference), Cell.Of(k.Label), Cell.Of(k.Spec), YesOrNo(k.CanSign), Cell.OfProtection(k.Protection), Cell.OfKid(k.Kid),
            ]));
        if (answer.Keys.Any(k => string.Equals(k.Protection, "software", StringComparison.Ordinal)))
            Remarks.Write(Tables.SoftwareRemark);
    }

    private static void WriteCheck(HsmCheck check)
    {
        Tables.Write(
            ["REQUIREMENT", "RESULT", "REQUIRED", "REMARK"],
            check.Checks.Select(c => (Cell[])
            [
                Cell.Of(c.What), new Cell(c.Result, Stands: c.Result is not HsmRequirement.Ok), Cell.Of(c.IsRequired ? "yes" : "no"),
                Cell.Of(c.Remark),
            ]));
        Console.Out.WriteLine();
        foreach (var (name, value) in check.Settings)
            Console.Out.WriteLine(Remarks.Plain($"{name}={value}"));
        Remarks.Write(
            !check.Fits ? "signsvc: The token does not fit."
            : check.Checks.Any(c => c is { IsRequired: true, Result: HsmRequirement.NotTried }) ? "What was tried fits; not everything that is required was tried."
            : "The token fits.");
    }

    private static Cell YesOrNo(bool holds) => new(holds ? "yes" : "no", Stands: !holds);
}
