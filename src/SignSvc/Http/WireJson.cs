using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Mvc;
using SignSvc.Access;
using SignSvc.Audit;
using SignSvc.Keys;
using SignSvc.OAuth;
using SignSvc.Operations;
using SignSvc.Signing;
using SignSvc.Signing.Access.Policies;
using SignSvc.Tokens;

namespace SignSvc.Http;

/// <summary>Every wire record, for the source generator: nothing is serialized by reflection.</summary>
[JsonSerializable(typeof(Problem))]
[JsonSerializable(typeof(ProblemDetails))]
[JsonSerializable(typeof(SignBody))]
[JsonSerializable(typeof(SignAnswer))]
[JsonSerializable(typeof(SignBatchBody))]
[JsonSerializable(typeof(SignBatchAnswer))]
[JsonSerializable(typeof(VerifyBody))]
[JsonSerializable(typeof(VerifyAnswer))]
[JsonSerializable(typeof(BundleBody))]
[JsonSerializable(typeof(BundleAnswer))]
[JsonSerializable(typeof(AttestBatchBody))]
[JsonSerializable(typeof(TokenBody))]
[JsonSerializable(typeof(TokenAnswer))]
[JsonSerializable(typeof(TokenBatchBody))]
[JsonSerializable(typeof(TokenBatchAnswer))]
[JsonSerializable(typeof(ProfileBody))]
[JsonSerializable(typeof(ProfileAnswer))]
[JsonSerializable(typeof(ProfileList))]
[JsonSerializable(typeof(NewKeyBody))]
[JsonSerializable(typeof(KeyAnswer))]
[JsonSerializable(typeof(KeyList))]
[JsonSerializable(typeof(KeyUpdateBody))]
[JsonSerializable(typeof(RevokeBody))]
[JsonSerializable(typeof(ImportParametersAnswer))]
[JsonSerializable(typeof(ImportBody))]
[JsonSerializable(typeof(VersionList))]
[JsonSerializable(typeof(TimelineAnswer))]
[JsonSerializable(typeof(AliasBody))]
[JsonSerializable(typeof(AliasAnswer))]
[JsonSerializable(typeof(AliasList))]
[JsonSerializable(typeof(NewCredentialBody))]
[JsonSerializable(typeof(RotateCredentialBody))]
[JsonSerializable(typeof(CredentialAnswer))]
[JsonSerializable(typeof(CredentialList))]
[JsonSerializable(typeof(PolicyDocument))]
[JsonSerializable(typeof(PolicyAnswer))]
[JsonSerializable(typeof(PolicyList))]
[JsonSerializable(typeof(KeyPolicyAnswer))]
[JsonSerializable(typeof(PolicyQuestionBody))]
[JsonSerializable(typeof(PolicyExplanation))]
[JsonSerializable(typeof(LintAnswer))]
[JsonSerializable(typeof(NewGrantBody))]
[JsonSerializable(typeof(GrantAnswer))]
[JsonSerializable(typeof(GrantList))]
[JsonSerializable(typeof(AccessKeyAnswer))]
[JsonSerializable(typeof(AccessKeyList))]
[JsonSerializable(typeof(WhoAmIAnswer))]
[JsonSerializable(typeof(AuditPage))]
[JsonSerializable(typeof(AuditCheckAnswer))]
[JsonSerializable(typeof(TokenExplanation))]
[JsonSerializable(typeof(PayloadBody))]
[JsonSerializable(typeof(PayloadAnswer))]
[JsonSerializable(typeof(CertificateChainBody))]
[JsonSerializable(typeof(ClientKeyList))]
[JsonSerializable(typeof(GrantedToken))]
[JsonSerializable(typeof(OAuthError))]
[JsonSerializable(typeof(IssuerMetadata))]
[JsonSerializable(typeof(Health))]
public sealed partial class WireJson : JsonSerializerContext;
