using System.Collections.Frozen;
using System.Security.Cryptography;

namespace SignSvc.Signing.Keys.Import;

/// <summary>
/// Public keys whose private halves are published, by SHA-256 of their SubjectPublicKeyInfo. Built in are those of
/// documents and test suites that people copy from; a list of an operator's own (such as Debian's weak keys of 2008)
/// is added from a file.
/// </summary>
public sealed class KnownBadKeys(IEnumerable<string> more)
{
    /// <summary>About as many as Debian's weak keys of all sizes.</summary>
    private const int MaxLines = 1_000_000;

    private static readonly string[] WellKnown =
    [
        // RFC 6979 appendix A.2: P-256, P-384, P-521.
        "5a7a78cca4a0f420d9bc62bb669c3c2759e39f723d3ae10dcbe0f0815a07ecd4",
        "2f95601fa82060b909bfc6b979dbd303d34d34e0afb27ea496beac362f242a4b",
        "2fb6d46385242ea4ad431f7175e7014eb74a5fc60f65b50ca54cc23c5b08de38",
        // RFC 7515 appendix A.3; RFC 7517 appendices A.1 (also RFC 7638) and A.2; RFC 7520 sections 3.2 and 3.4.
        "2bd1bb0c44a897c30a7aa0991cde38d8062fe441de50da0f46825344f602e827",
        "ad32320cf6c596d884b05381ba573aba8ddd5749b4de8f4a23a79f9a89ddaeb2",
        "51b944cdfa544d4c3273aa6bf350625a7dd53bbb6a71723274f538b19a207760",
        "c6479a15a50ac4cd9b6414e27c69bf37345dc1046dc648875c4898fbd35cc74b",
        "627771f25da426d1f9ae315e42106d700b1529850eee1592acf39603959d795d",
        // jwt.io: ES256, RS256.
        "a40f0f2e2974dc76a82df6ffe08ed0d79955c79e7ad0c20d97ae8f9246ade1c1",
        "f56c8b01227f62ddbc16eb29a6ac0b310e276760a5e06302fa881a35146f6bc7",
        // Wycheproof: json_web_key, json_web_signature.
        "62ab98e07566bb96b6ae8e6da086554a2c4aee02a1f00f1f8ffa551cc620df72",
        "7594960cb074cc89bb79e511e26f8e74a93df188641a38c4592894648b1f82da",
        "c963778ab59460a32e2e78aed3deddd8ab2358812381ad455c675f907444a6d6",
        "f5876f9023d036efa06c326c15fa23c6578cff4e498b8d106ddef1a8450a20f0",
        "d51d17338c3194ce5a3d9603b39b82e8a685a31c81d885bfecf170bf6037104d",
    ];

    private readonly FrozenSet<string> _hashes = WellKnown.Concat(more).ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    public bool Contains(PublicKey key) => _hashes.Contains(Convert.ToHexStringLower(SHA256.HashData(key.Spki.Span)));

    /// <param name="lines">64 hex digits a line; empty lines and those that begin with <c>#</c> are passed over.</param>
    /// <exception cref="FormatException">The line that is none of these, or too many lines.</exception>
    public static KnownBadKeys Parse(IEnumerable<string> lines) => new([.. lines.Select((text, i) => (text: text.Trim(), number: i + 1))
        .Where(l => l.text.Length > 0 && l.text[0] != '#')
        .Select(l => l.number > MaxLines
            ? throw new FormatException($"more than {MaxLines} lines")
            : l.text.Length == 64 && l.text.All(char.IsAsciiHexDigit)
                ? l.text
                : throw new FormatException($"line {l.number} is not the SHA-256 of a SubjectPublicKeyInfo in 64 hex digits"))]);
}
