using System.ComponentModel.DataAnnotations;

namespace SignSvc.Backends.Pkcs11;

/// <summary>How to reach the keys in one PKCS#11 module.</summary>
public sealed class Pkcs11Options
{
    /// <summary>Absolute path of the vendor's library. It runs inside this process: whoever can write it owns the service.</summary>
    public string ModulePath { get; set; } = "";

    /// <summary>Handed to C_Initialize in pReserved. NSS softokn needs it (<c>configdir='sql:…'</c>); others must not have it.</summary>
    public string? InitializationParameters { get; set; }

    /// <summary>Several tokens serve keys that they share (same CKA_ID) in turn, and for each other when one fails.</summary>
    public IList<Pkcs11TokenOptions> Tokens { get; } = [];

    /// <summary>
    /// How long a caller waits for a call, and how long the module may take for one before its thread is given up.
    /// Too short, and a busy HSM looks hung; too long, and callers queue behind one that is.
    /// </summary>
    public int OperationDeadlineMilliseconds { get; set; } = 5_000;

    /// <summary>The same for making and importing keys: RSA-4096 takes a small HSM the better part of a minute.</summary>
    public int KeyGenerationDeadlineMilliseconds { get; set; } = 120_000;

    /// <summary>The same for C_Initialize, finding the token and logging in.</summary>
    public int ConnectDeadlineMilliseconds { get; set; } = 20_000;

    /// <summary>
    /// Threads that may hang inside the module for each token before it is left alone until one of them comes back.
    /// Each holds its memory and its session until then.
    /// </summary>
    public int WorkerAbandonmentLimit { get; set; } = 8;

    /// <summary>Calls that may wait for a session of one token; more are refused as overloaded.</summary>
    public int QueueLimit { get; set; } = 1_024;

    /// <summary>
    /// A key counts as guarded by an HSM only where the slot says it is hardware (CKF_HW_SLOT). Set this for an HSM
    /// whose module does not say so; set for a software token, it makes the audit claim what is not true.
    /// </summary>
    public bool TrustAsHardware { get; set; }

    /// <summary>CKA_LABEL of the AES key in the token that wraps the volume tier's keys; made on first use.</summary>
    public string WrappingKeyLabel { get; set; } = "signsvc-wrapping";

    /// <summary>What wraps: AES-GCM where the token has it, else an AES key wrap.</summary>
    public Pkcs11Wrapping Wrapping { get; set; } = Pkcs11Wrapping.Auto;

    /// <summary>Every fault at once; empty where the options hold.</summary>
    public IReadOnlyList<string> Validate()
    {
        var faults = new List<string>();
        if (!Path.IsPathFullyQualified(ModulePath))
            faults.Add($"{nameof(ModulePath)} must be the absolute path of a PKCS#11 library.");
        else if (!File.Exists(ModulePath))
            faults.Add($"{nameof(ModulePath)}: no such file: {ModulePath}");
        if (Tokens.Count is < 1 or > 16)
            faults.Add($"{nameof(Tokens)} must name 1 to 16 tokens.");
        Bound(faults, nameof(OperationDeadlineMilliseconds), OperationDeadlineMilliseconds, 50, 60_000);
        Bound(faults, nameof(KeyGenerationDeadlineMilliseconds), KeyGenerationDeadlineMilliseconds, 1_000, 600_000);
        Bound(faults, nameof(ConnectDeadlineMilliseconds), ConnectDeadlineMilliseconds, 100, 300_000);
        Bound(faults, nameof(WorkerAbandonmentLimit), WorkerAbandonmentLimit, 1, 1_000);
        Bound(faults, nameof(QueueLimit), QueueLimit, 1, 100_000);
        if (KeyGenerationDeadlineMilliseconds < OperationDeadlineMilliseconds)
            faults.Add($"{nameof(KeyGenerationDeadlineMilliseconds)} must not be below {nameof(OperationDeadlineMilliseconds)}.");
        if (WrappingKeyLabel.Length is < 1 or > 64)
            faults.Add($"{nameof(WrappingKeyLabel)} must have 1 to 64 characters.");
        for (var i = 0; i < Tokens.Count; i++)
            faults.AddRange(Tokens[i].Validate().Select(fault => $"{nameof(Tokens)}[{i}]: {fault}"));
        if (Tokens.DistinctBy(t => (t.Label, t.Serial)).Count() != Tokens.Count)
            faults.Add($"{nameof(Tokens)} names a token twice.");
        return faults;
    }

    /// <exception cref="ValidationException">Lists every fault.</exception>
    internal void ThrowIfInvalid()
    {
        var faults = Validate();
        if (faults.Count > 0)
            throw new ValidationException($"PKCS#11 options: {string.Join(" ", faults)}");
    }

    internal static void Bound(List<string> faults, string name, int value, int least, int most)
    {
        if (value < least || value > most)
            faults.Add($"{name} must be {least} to {most}.");
    }
}

/// <summary>One token, named by its label, its serial number or both. Exactly one source of the PIN.</summary>
public sealed class Pkcs11TokenOptions
{
    public string? Label { get; set; }

    public string? Serial { get; set; }

    /// <summary>As configured: label, serial number or both, for messages and metrics.</summary>
    internal string Name => Label is null ? Serial! : Serial is null ? Label : $"{Label} {Serial}";

    /// <summary>
    /// A file with the PIN and at most a line end behind it. Read at each login and never kept, so that a changed PIN
    /// counts at the next login.
    /// </summary>
    public string? PinFile { get; set; }

    /// <summary>Name of an environment variable. Less good than a file: children inherit it and the process shows it.</summary>
    public string? PinEnvironmentVariable { get; set; }

    /// <summary>A program (absolute path) and its arguments; the PIN is the first line of what it prints.</summary>
    public IList<string> PinCommand { get; } = [];

    /// <summary>
    /// Sessions, each with a thread of its own, that may be open for signing; one more holds the login. More than the
    /// HSM can serve at once only adds waiting inside it.
    /// </summary>
    public int SessionLimit { get; set; } = 8;

    /// <summary>No source at all stands for a token with a PIN pad of its own or without login.</summary>
    internal IEnumerable<string> Validate()
    {
        var faults = new List<string>();
        if (string.IsNullOrWhiteSpace(Label) && string.IsNullOrWhiteSpace(Serial))
            faults.Add($"{nameof(Label)} or {nameof(Serial)} must name the token.");
        var sources = (PinFile is null ? 0 : 1) + (PinEnvironmentVariable is null ? 0 : 1) + (PinCommand.Count == 0 ? 0 : 1);
        if (sources > 1)
            faults.Add($"Only one of {nameof(PinFile)}, {nameof(PinEnvironmentVariable)} and {nameof(PinCommand)} may be set.");
        if (PinFile is not null && !Path.IsPathFullyQualified(PinFile))
            faults.Add($"{nameof(PinFile)} must be an absolute path.");
        if (PinCommand.Count > 0 && !Path.IsPathFullyQualified(PinCommand[0]))
            faults.Add($"{nameof(PinCommand)} must begin with the absolute path of a program.");
        Pkcs11Options.Bound(faults, nameof(SessionLimit), SessionLimit, 1, 1_024);
        return faults;
    }
}

public enum Pkcs11Wrapping
{
    Auto,

    /// <summary>CKM_AES_GCM inside the token, the context as associated data.</summary>
    AesGcm,

    /// <summary>A data key for each secret, wrapped by CKM_AES_KEY_WRAP(_KWP, _PAD); AES-GCM here, the context as associated data.</summary>
    AesKeyWrap,
}
