using SignSvc.Backends.Pkcs11;
using SignSvc.Signing;

namespace SignSvc.Cli.Hsm;

/// <param name="Fits">Everything that is required holds. What was not tried does not count against it.</param>
/// <param name="Settings">What the service needs to use the token, as environment variables.</param>
internal sealed record HsmCheck(
    Pkcs11ModuleInfo Module, Pkcs11Slot Slot, bool Fits, HsmRequirement[] Checks, Dictionary<string, string> Settings)
{
    private const string Login = "logs in";
    private const string Session = "opens a session beside the login's";

    public static async Task<HsmCheck> RunAsync(HsmModule module, string? token, HsmPin pin, CancellationToken cancellationToken)
    {
        var (info, slots, slot, checks) = await HsmModule.AskAsync(module, survey =>
        {
            var slots = survey.Slots();
            var slot = HsmModule.Choose(slots, token);
            return (survey.Module, slots, slot, survey.Check(slot.Id).Select(HsmRequirement.Of).ToList());
        }, cancellationToken);

        checks.Add(new HsmRequirement("keeps new keys", slot.IsWritable ? HsmRequirement.Ok : HsmRequirement.Missing, IsRequired: false));
        checks.AddRange(await TryLoginAsync(module, slot, pin, cancellationToken));
        var fits = checks.TrueForAll(c => !c.IsRequired || c.Result is not HsmRequirement.Missing);
        var isAlone = slots.Count(s => string.Equals(s.Label, slot.Label, StringComparison.Ordinal)) == 1;
        return new HsmCheck(info, slot, fits, [.. checks], SettingsFor(module, slot, isAlone, pin));
    }

    private static async Task<HsmRequirement[]> TryLoginAsync(
        HsmModule module, Pkcs11Slot slot, HsmPin pin, CancellationToken cancellationToken)
    {
        if (slot.NeedsLogin && !pin.IsNamed)
        {
            const string how = "name the PIN with --pin-file or --pin-env";
            return
            [
                new HsmRequirement(Login, HsmRequirement.NotTried, IsRequired: true, how),
                new HsmRequirement(Session, HsmRequirement.NotTried, IsRequired: true, how),
            ];
        }

        try
        {
            var keys = await HsmModule.LogInAsync(module, slot, pin, cancellationToken);
            return
            [
                new HsmRequirement(Login, HsmRequirement.Ok, IsRequired: true),
                new HsmRequirement(Session, HsmRequirement.Ok, IsRequired: true, $"{keys.Count} private keys are there"),
            ];
        }
        catch (SigningException e) when (e.Fault == SigningFault.BackendUnavailable)
        {
            throw HsmModule.Unavailable(e);
        }
        catch (SigningException e)
        {
            return [new HsmRequirement(Login, HsmRequirement.Missing, IsRequired: true, e.Message)];
        }
    }

    private static Dictionary<string, string> SettingsFor(HsmModule module, Pkcs11Slot slot, bool isAlone, HsmPin pin)
    {
        const string section = "SignSvc__Backends__Pkcs11__";
        const string token = $"{section}Tokens__0__";
        var settings = new Dictionary<string, string>(StringComparer.Ordinal) { [$"{section}ModulePath"] = module.Path };
        if (module.InitializationParameters is not null)
            settings[$"{section}InitializationParameters"] = module.InitializationParameters;
        settings[$"{token}Label"] = slot.Label;
        if (!isAlone)
            settings[$"{token}Serial"] = slot.Serial;
        if (pin.Variable is not null)
            settings[$"{token}PinEnvironmentVariable"] = pin.Variable;
        else if (slot.NeedsLogin)
            settings[$"{token}PinFile"] = pin.File ?? "/run/secrets/hsm-pin";
        return settings;
    }
}
