using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Net.Security;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using SignSvc.Operations;
using SignSvc.Signing.Access;

namespace SignSvc.Access.Certificates;

/// <summary>What a client certificate says, after it was checked.</summary>
internal sealed record CertificateIdentity(
    string Principal, FrozenDictionary<string, ImmutableArray<string>> Claims, ImmutableArray<Role> Roles, string Fingerprint, DateTimeOffset ExpiresAt);

/// <summary>
/// Callers by client certificate. TLS takes any certificate, or none; here it is settled whether it counts, once for a
/// connection and again whenever roots or revocation lists change, so that revoking reaches connections that are open.
/// </summary>
internal sealed partial class ClientCertificates : BackgroundService, ITakesSettings
{
    private const int MaxSentCertificates = 8;
    private const int MaxFileBytes = 16 * 1024 * 1024;
    private const int MaxNameLength = 255;

    private static readonly TimeSpan BetweenReads = TimeSpan.FromSeconds(1);

    private readonly ClientCertificateSettings _settings;
    private volatile ClientCertificateSettings _rules;
    private readonly TimeProvider _time;
    private readonly ILogger<ClientCertificates> _log;
    private readonly ConditionalWeakTable<X509Certificate2, Presented> _presented = [];
    private byte[] _ca = [];
    private byte[]? _crl;
    private ClientTrust? _trust;

    /// <exception cref="StartException">A file cannot be read.</exception>
    public ClientCertificates(ClientCertificateSettings settings, TimeProvider time, ILogger<ClientCertificates> log)
    {
        _settings = _rules = settings;
        _time = time;
        _log = log;
        try
        {
            if (settings.CaFile is not null)
                Read();
        }
        catch (Exception e) when (e is IOException or InvalidDataException or UnauthorizedAccessException)
        {
            throw new StartException($"Client certificates cannot be checked: {e.Message}", e);
        }
    }

    public bool IsOn => _settings.CaFile is not null;

    /// <summary>How TLS asks for certificates: kindly, and without believing or fetching anything.</summary>
    public void Configure(HttpsConnectionAdapterOptions https)
    {
        if (!IsOn)
            return;
        https.ClientCertificateMode = ClientCertificateMode.AllowCertificate;
        https.ClientCertificateValidation = Take;
        https.OnAuthenticate = (_, tls) =>
        {
            // A resumed session has the certificate, but not those that came with it.
            tls.AllowTlsResume = false;
            // What the platform reckons is not used, but it must not download what a stranger's certificate points at.
            tls.CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
                DisableCertificateDownloads = true,
            };
        };
    }

    /// <returns>Whom a certificate names now, or, for the operator's eyes, why it counts for nothing.</returns>
    public (CertificateIdentity? Identity, string Refusal) Recognise(X509Certificate2 certificate)
    {
        if (Volatile.Read(ref _trust) is not { } trust || !_presented.TryGetValue(certificate, out var presented))
            return (null, "client certificates are not believed here");
        var now = _time.GetUtcNow();
        var verdict = presented.Verdict;
        if (verdict is null || !ReferenceEquals(verdict.Trust, trust) || !ReferenceEquals(verdict.Rules, _rules) || now >= verdict.Until)
            presented.Verdict = verdict = Judge(certificate, presented.Sent, trust, now);
        return (verdict.Identity, verdict.Refusal);
    }

    /// <summary>Trust domains and roles. That files other than those of the start are to be read counts from the next one.</summary>
    public Action Prepare(Settings settings) => () => _rules = settings.Access.ClientCertificates;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(BetweenReads, _time);
        while (IsOn && await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                if (Read())
                    LogReload();
            }
            catch (Exception e) when (e is IOException or InvalidDataException or UnauthorizedAccessException)
            {
                LogBadFile(e.Message);
            }
        }
    }

    /// <summary>At the handshake: keeps what came with the certificate, bounded, for when it is judged.</summary>
    private bool Take(X509Certificate2 certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        var sent = new X509Certificate2Collection();
        // The platform disposes of its own when the handshake is over.
        foreach (var other in chain?.ChainPolicy.ExtraStore.Take(MaxSentCertificates) ?? [])
            sent.Add(X509CertificateLoader.LoadCertificate(other.RawData));
        _presented.AddOrUpdate(certificate, new Presented(sent));
        return true;
    }

    private Verdict Judge(X509Certificate2 certificate, X509Certificate2Collection sent, ClientTrust trust, DateTimeOffset now)
    {
        var rules = _rules;
        try
        {
            if (trust.Refuse(certificate, sent, now, out var until) is { } why)
                return new Verdict(trust, rules, Identity: null, why, Until: now + TimeSpan.FromMinutes(1));
            return Name(certificate, rules, out why) is { } identity
                ? new Verdict(trust, rules, identity, "", until)
                : new Verdict(trust, rules, Identity: null, why, DateTimeOffset.MaxValue);
        }
        catch (Exception e) when (e is CryptographicException or InvalidDataException)
        {
            return new Verdict(trust, rules, Identity: null, "its certificate cannot be read", now + TimeSpan.FromMinutes(1));
        }
    }

    /// <summary>Settles the one name that a certificate has for policies: its SPIFFE id, or else its subject.</summary>
    private static CertificateIdentity? Name(X509Certificate2 certificate, ClientCertificateSettings rules, out string why)
    {
        var names = AlternativeNames.Of(certificate);
        var fingerprint = Convert.ToHexStringLower(certificate.GetCertHash(HashAlgorithmName.SHA256));
        var claims = new Dictionary<string, ImmutableArray<string>>(StringComparer.Ordinal)
        {
            ["subject"] = [certificate.Subject],
            ["issuer"] = [certificate.Issuer],
            ["serial"] = [certificate.SerialNumber],
            ["fingerprint"] = [fingerprint],
            ["san.uri"] = names.Uris,
            ["san.dns"] = names.Dns,
            ["san.email"] = names.Emails,
            ["san.ip"] = names.Addresses,
        };
        string principal;
        if (names.Uris.Any(u => u.StartsWith("spiffe:", StringComparison.OrdinalIgnoreCase)))
        {
            // X509-SVID section 2: exactly one URI, or nobody can say which one is meant.
            if (names.Uris.Length != 1 || SpiffeId.TryParse(names.Uris[0]) is not { } id)
            {
                why = "its certificate has a SPIFFE id that is not well-formed, or more than one URI";
                return null;
            }

            if (rules.TrustDomains.Count > 0 && !rules.TrustDomains.Contains(id.TrustDomain, StringComparer.Ordinal))
            {
                why = "its SPIFFE trust domain is not accepted";
                return null;
            }

            principal = id.Text;
            (claims["spiffe.id"], claims["spiffe.trustDomain"], claims["spiffe.path"]) = ([id.Text], [id.TrustDomain], [id.Path]);
        }
        else if (certificate.Subject.Length is > 0 and <= MaxNameLength && !certificate.Subject.Any(char.IsControl))
        {
            principal = $"certificate:{certificate.Subject}";
        }
        else
        {
            why = "its certificate has neither a SPIFFE id nor a subject of sensible length";
            return null;
        }

        why = "";
        var flat = claims.Where(c => c.Value.Length > 0).ToFrozenDictionary(StringComparer.Ordinal);
        var roles = rules.Roles.Where(m => m.When.All(c => c.Holds(flat))).Select(m => m.Role).Distinct().ToImmutableArray();
        return new CertificateIdentity(principal, flat, roles, fingerprint, new DateTimeOffset(certificate.NotAfter));
    }

    /// <returns>Whether anything was new.</returns>
    private bool Read()
    {
        var ca = ReadBounded(_settings.CaFile!);
        var crl = _settings.CrlFile is null ? null : ReadBounded(_settings.CrlFile);
        if (_trust is not null && ca.AsSpan().SequenceEqual(_ca) && crl.AsSpan().SequenceEqual(_crl))
            return false;
        Volatile.Write(ref _trust, new ClientTrust(ca, crl));
        (_ca, _crl) = (ca, crl);
        return true;
    }

    private static byte[] ReadBounded(string file) =>
        new FileInfo(file) is { Length: <= MaxFileBytes }
            ? File.ReadAllBytes(file)
            : throw new InvalidDataException($"{file} is longer than {MaxFileBytes} bytes.");

    [LoggerMessage(1111, LogLevel.Information, "The roots or revocation lists of client certificates have changed and are in force")]
    private partial void LogReload();

    [LoggerMessage(1112, LogLevel.Error, "The roots or revocation lists of client certificates cannot be read: {Reason}; the last good ones stay")]
    private partial void LogBadFile(string reason);

    /// <summary>One certificate of one connection, with what came beside it.</summary>
    private sealed class Presented(X509Certificate2Collection sent)
    {
        public X509Certificate2Collection Sent => sent;

        public Verdict? Verdict { get; set; }
    }

    private sealed record Verdict(ClientTrust Trust, ClientCertificateSettings Rules, CertificateIdentity? Identity, string Refusal, DateTimeOffset Until);
}
