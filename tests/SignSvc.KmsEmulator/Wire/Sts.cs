using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Microsoft.AspNetCore.WebUtilities;

namespace SignSvc.Emulation.Wire;

/// <summary>
/// The calls of AWS STS that credentials need (query protocol): GetCallerIdentity, AssumeRole and
/// AssumeRoleWithWebIdentity. Any role of any account may be assumed and no web identity token is checked.
/// </summary>
internal sealed partial class Sts(TimeProvider clock)
{
    /// <summary>More sessions than any test opens; beyond it AssumeRole is throttled.</summary>
    private const int MostSessions = 10_000;

    private static readonly XNamespace Namespace = "https://sts.amazonaws.com/doc/2011-06-15/";

    private readonly ConcurrentDictionary<string, AccessKey> _sessions = new(StringComparer.Ordinal);

    public SigV4? Signatures { get; set; }

    public AccessKey? FindSession(string accessKeyId) => _sessions.GetValueOrDefault(accessKeyId);

    public async Task InvokeAsync(HttpContext context, byte[] body)
    {
        var form = QueryHelpers.ParseQuery(Encoding.UTF8.GetString(body));
        var action = form.GetValueOrDefault("Action").ToString();
        XElement answer;
        try
        {
            // Web identity is how a caller without AWS credentials gets some: that call alone is not signed.
            var caller = action is "AssumeRoleWithWebIdentity" ? null : Signatures!.Authenticate(context.Request, body);
            if (caller is null && form.GetValueOrDefault("WebIdentityToken").ToString().Length is < 4 or > 20_000)
                throw KmsException.Validation("WebIdentityToken is required, of 4 to 20000 characters.");
            var result = action switch
            {
                "GetCallerIdentity" => Identity(caller!),
                "AssumeRole" or "AssumeRoleWithWebIdentity" => Assume(
                    form.GetValueOrDefault("RoleArn").ToString(),
                    form.GetValueOrDefault("RoleSessionName").ToString()),
                _ => throw new KmsException(
                    "InvalidAction",
                    $"Could not find operation {action} for version 2011-06-15"),
            };
            answer = new XElement(Namespace + $"{action}Response", new XElement(Namespace + $"{action}Result", result));
        }
        catch (KmsException error)
        {
            context.Response.StatusCode = error.Status;
            answer = new XElement(
                Namespace + "ErrorResponse",
                Element(
                    "Error",
                    Element("Type", "Sender"),
                    Element("Code", error.Code),
                    Element("Message", error.WireMessage ?? "")));
        }

        context.Response.ContentType = "text/xml";
        await context.Response.WriteAsync(answer.ToString(SaveOptions.DisableFormatting), context.RequestAborted);
    }

    private static object[] Identity(Caller caller) =>
        [
            Element("Arn", caller.PrincipalArn),
            Element("UserId", caller.AccessKeyId),
            Element("Account", caller.AccountId),
        ];

    private object[] Assume(string roleArn, string session)
    {
        var match = RoleArn().Match(roleArn);
        if (!match.Success || session.Length is < 2 or > 64)
            throw KmsException.Validation("RoleArn and RoleSessionName are required.");
        if (_sessions.Count >= MostSessions)
            throw KmsException.Throttling();
        var account = match.Groups["account"].Value;
        var accessKey = new AccessKey($"ASIA{Convert.ToHexString(RandomNumberGenerator.GetBytes(8))}", account)
        {
            Secret = Convert.ToBase64String(RandomNumberGenerator.GetBytes(30)),
            PrincipalArn = $"arn:aws:sts::{account}:assumed-role/{match.Groups["role"].Value}/{session}",
        };
        _sessions[accessKey.Id] = accessKey;
        return
        [
            Element(
                "Credentials",
                Element("AccessKeyId", accessKey.Id),
                Element("SecretAccessKey", accessKey.Secret),
                Element("SessionToken", Convert.ToBase64String(RandomNumberGenerator.GetBytes(48))),
                Element("Expiration", clock.GetUtcNow().AddHours(1).ToString("yyyy-MM-dd'T'HH:mm:ss'Z'"))),
            Element(
                "AssumedRoleUser",
                Element("AssumedRoleId", $"{accessKey.Id}:{session}"),
                Element("Arn", accessKey.PrincipalArn)),
        ];
    }

    private static XElement Element(string name, params object[] content) => new(Namespace + name, content);

    [GeneratedRegex(
        "^arn:aws[a-z-]*:iam::(?<account>[0-9]{12}):role/(.+/)?(?<role>[^/]+)$",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000)]
    private static partial Regex RoleArn();
}
