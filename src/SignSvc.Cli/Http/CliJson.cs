using System.Text.Json;
using System.Text.Json.Serialization;
using SignSvc.Cli.Approvals;
using SignSvc.Cli.Audit;
using SignSvc.Cli.Backups;
using SignSvc.Cli.Callers;
using SignSvc.Cli.Credentials;
using SignSvc.Cli.Declared;
using SignSvc.Cli.Hsm;
using SignSvc.Cli.Keys;
using SignSvc.Cli.Keys.Import;
using SignSvc.Cli.Login;
using SignSvc.Cli.Policies;
using SignSvc.Cli.Profiles;
using SignSvc.Cli.Signing;
using SignSvc.Cli.Tokens;

namespace SignSvc.Cli.Http;

/// <summary>
/// What is read and written, for the source generator. Answers are read leniently: a newer service may say more,
/// and words that are enums there are text here.
/// </summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UseStringEnumConverter = true)]
[JsonSerializable(typeof(Problem))]
[JsonSerializable(typeof(BackupResult))]
[JsonSerializable(typeof(Health))]
[JsonSerializable(typeof(StoredLogin))]
[JsonSerializable(typeof(LoginAnswer))]
[JsonSerializable(typeof(NewKeyBody))]
[JsonSerializable(typeof(KeyAnswer))]
[JsonSerializable(typeof(KeyList))]
[JsonSerializable(typeof(KeyUpdateBody))]
[JsonSerializable(typeof(RevokeBody))]
[JsonSerializable(typeof(ImportParametersAnswer))]
[JsonSerializable(typeof(ImportBody))]
[JsonSerializable(typeof(VersionUseList))]
[JsonSerializable(typeof(TimelineAnswer))]
[JsonSerializable(typeof(AliasBody))]
[JsonSerializable(typeof(AliasAnswer))]
[JsonSerializable(typeof(AliasList))]
[JsonSerializable(typeof(PlanReport))]
[JsonSerializable(typeof(ApplyReport))]
[JsonSerializable(typeof(StatusReport))]
[JsonSerializable(typeof(SignBody))]
[JsonSerializable(typeof(SignAnswer))]
[JsonSerializable(typeof(VerifyBody))]
[JsonSerializable(typeof(VerifyAnswer))]
[JsonSerializable(typeof(BundleBody))]
[JsonSerializable(typeof(BundleAnswer))]
[JsonSerializable(typeof(AttestationAnswer))]
[JsonSerializable(typeof(TokenBody))]
[JsonSerializable(typeof(TokenAnswer))]
[JsonSerializable(typeof(TokenExplanation))]
[JsonSerializable(typeof(IssuerMetadata))]
[JsonSerializable(typeof(TokenVerification))]
[JsonSerializable(typeof(ProfileAnswer))]
[JsonSerializable(typeof(ProfileList))]
[JsonSerializable(typeof(ProfileBody))]
[JsonSerializable(typeof(AuditPage))]
[JsonSerializable(typeof(AuditCheckAnswer))]
[JsonSerializable(typeof(NewCredentialBody))]
[JsonSerializable(typeof(RotateCredentialBody))]
[JsonSerializable(typeof(CredentialAnswer))]
[JsonSerializable(typeof(CredentialList))]
[JsonSerializable(typeof(JsonElement))]
[JsonSerializable(typeof(PolicyAnswer))]
[JsonSerializable(typeof(PolicyList))]
[JsonSerializable(typeof(LintAnswer))]
[JsonSerializable(typeof(ExplainAnswer))]
[JsonSerializable(typeof(PolicyTestReport))]
[JsonSerializable(typeof(GrantAnswer))]
[JsonSerializable(typeof(GrantList))]
[JsonSerializable(typeof(ApprovalAnswer))]
[JsonSerializable(typeof(ApprovalList))]
[JsonSerializable(typeof(ApprovalRuleBody))]
[JsonSerializable(typeof(ApprovalRuleAnswer))]
[JsonSerializable(typeof(ApprovalRuleList))]
[JsonSerializable(typeof(WhoAmIAnswer))]
[JsonSerializable(typeof(HsmSlots))]
[JsonSerializable(typeof(HsmMechanisms))]
[JsonSerializable(typeof(HsmKeys))]
[JsonSerializable(typeof(HsmCheck))]
[JsonSerializable(typeof(string))]
internal sealed partial class CliJson : JsonSerializerContext;
