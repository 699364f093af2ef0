using System.Text.Json;
using System.Text.Json.Serialization;
using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Access.Grants;
using SignSvc.Signing.Access.Policies;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Keys.Import;
using SignSvc.Signing.Tokens;

namespace SignSvc.Signing;

/// <summary>How documents and audit records are written at rest. A member once written is read for ever.</summary>
[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web,
    UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    RespectRequiredConstructorParameters = true,
    IgnoreReadOnlyProperties = true)]
[JsonSerializable(typeof(Key))]
[JsonSerializable(typeof(Credential))]
[JsonSerializable(typeof(TokenProfile))]
[JsonSerializable(typeof(ImportTicket))]
[JsonSerializable(typeof(StoredPolicy))]
[JsonSerializable(typeof(Grant))]
[JsonSerializable(typeof(Approval))]
[JsonSerializable(typeof(ApprovalRule))]
[JsonSerializable(typeof(ApprovalSubject))]
[JsonSerializable(typeof(PolicyDocument))]
[JsonSerializable(typeof(PolicyConditions))]
[JsonSerializable(typeof(KeyUpdate))]
[JsonSerializable(typeof(KeyIntent))]
[JsonSerializable(typeof(AuditRecord))]
[JsonSerializable(typeof(string[]))]
[JsonSerializable(typeof(long))]
public sealed partial class SigningJson : JsonSerializerContext;
