using SignSvc.Backends.Pkcs11;
using SignSvc.Cli.Output;
using SignSvc.Signing;

namespace SignSvc.Cli.Hsm;

/// <summary>A module at a path, and the two ways to ask it: without a login, and as the service does.</summary>
internal sealed record HsmModule(string Path, string? InitializationParameters)
{
    public static HsmModule At(string path, string? initializationParameters)
    {
        var full = System.IO.Path.GetFullPath(path);
        return File.Exists(full)
            ? new HsmModule(full, initializationParameters)
            : throw CommandException.Usage($"{Remarks.Plain(path)} does not exist.", "--module takes the path of the vendor's library.");
    }

    /// <summary>Longer than the service gives a module to connect; within it a sound one has said everything.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>On another thread: a module that hangs keeps neither the deadline nor Ctrl-C from ending the command.</summary>
    public static async Task<T> AskAsync<T>(HsmModule module, Func<ModuleSurvey, T> question, CancellationToken cancellationToken)
    {
        var answer = Task.Run(
            () =>
            {
                using var survey = module.Open();
                try
                {
                    return question(survey);
                }
                catch (SigningException e)
                {
                    throw Unavailable(e);
                }
            },
            cancellationToken);
        try
        {
            return await answer.WaitAsync(Patience, cancellationToken);
        }
        catch (TimeoutException e)
        {
            throw new CommandException(ExitCode.Unavailable, $"The module did not answer within {Patience.TotalSeconds:0} s.", inner: e);
        }
    }

    public static Pkcs11Slot Choose(IReadOnlyList<Pkcs11Slot> slots, string? token)
    {
        var candidates = token is null
            ? slots.Where(s => s.IsInitialized).ToList()
            : slots.Where(s => string.Equals(s.Label, token, StringComparison.Ordinal) || string.Equals(s.Serial, token, StringComparison.Ordinal)).ToList();
        if (candidates.Count == 1)
            return candidates[0];
        var there = slots.Any(s => s.IsInitialized)
            ? $"There are: {string.Join(", ", slots.Where(s => s.IsInitialized).Select(s => $"{s.Label} (serial {s.Serial})"))}."
            : "None is initialised; the vendor's tools do that.";
        throw CommandException.Usage(
            (token, candidates.Count) switch
            {
                (null, 0) => "The module has no token.",
                (null, _) => "The module has several tokens: choose one with --token.",
                (_, 0) => "The module has no such token.",
                _ => "Several tokens have this label: choose one with --token and its serial number.",
            },
            there);
    }

    public static async Task<IReadOnlyList<Pkcs11Key>> ListKeysAsync(
        HsmModule module, Pkcs11Slot slot, HsmPin pin, CancellationToken cancellationToken)
    {
        try
        {
            return await LogInAsync(module, slot, pin, cancellationToken);
        }
        catch (SigningException e)
        {
            throw Unavailable(e);
        }
    }

    /// <summary>As the service does it: one session that logs in, another one that works.</summary>
    /// <exception cref="SigningException">As for any call to the token.</exception>
    public static async Task<IReadOnlyList<Pkcs11Key>> LogInAsync(
        HsmModule module, Pkcs11Slot slot, HsmPin pin, CancellationToken cancellationToken)
    {
        var token = new Pkcs11TokenOptions { Label = slot.Label, Serial = slot.Serial, SessionLimit = 1 };
        pin.AddTo(token);
        var options = new Pkcs11Options
        {
            ModulePath = module.Path,
            InitializationParameters = module.InitializationParameters,
            KeyGenerationDeadlineMilliseconds = (int)Patience.TotalMilliseconds,
        };
        options.Tokens.Add(token);
        using var backend = new Pkcs11Backend(options, TimeProvider.System);
        return await backend.ListAsync(cancellationToken);
    }

    private ModuleSurvey Open()
    {
        try
        {
            return new ModuleSurvey(Path, InitializationParameters);
        }
        catch (SigningException e)
        {
            throw CommandException.Usage(e.Message, "Is this the vendor's PKCS#11 library, and is its own configuration in place?", e);
        }
    }

    public static CommandException Unavailable(SigningException e) => new(ExitCode.Unavailable, e.Message, inner: e);
}
