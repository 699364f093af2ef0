namespace SignSvc.Tests;

/// <summary>A request that cannot be read is refused with the name of what is wrong, and with what could stand there.</summary>
public sealed class RefusedBindingTests(RunningService service)
{
    private readonly HttpClient _admin = service.Admin;

    [Theory]
    [InlineData("/v1/keys?limit=abc", "The parameter limit cannot be read.")]
    [InlineData("/v1/keys?limit=99999999999", "The parameter limit cannot be read.")]
    [InlineData("/v1/keys/release/public-key?version=x", "The parameter version cannot be read.")]
    [InlineData("/v1/audit?from=zzz", "The parameter from cannot be read.")]
    [InlineData("/v1/audit?from=zzz&limit=5", "One of the parameters from, limit cannot be read.")]
    public async Task A_parameter_is_named(string path, string detail)
    {
        var answer = await _admin.GetJsonAsync(path);

        answer.MustBeProblem(400, "invalid-request");
        Assert.Equal(detail, answer["detail"]);
    }

    [Theory]
    [InlineData("/v1/keys", """{"name":"x","purpose":"artifacts","tier":"foo"}""", "The JSON body at $.tier is none of assured, volume.")]
    [InlineData("/v1/keys", """{"name":"x","purpose":"artefacts"}""", "The JSON body at $.purpose is none of artifacts, tokens.")]
    [InlineData("/v1/keys", """{"name":"x","purpose":0}""", "The JSON body at $.purpose is none of artifacts, tokens.")]
    [InlineData("/v1/keys/release/sign", """{"message":"AAAA","encoding":"pem"}""", "The JSON body at $.encoding is none of der, p1363.")]
    [InlineData("/v1/credentials", """{"name":"x","roles":["boss"]}""", "The JSON body at $.roles[0] is none of admin, operator, signer, auditor, serviceAccountSigner.")]
    [InlineData("/v1/keys", """{"name":1,"purpose":"artifacts"}""", "The JSON body at $.name has a value of the wrong type.")]
    [InlineData("/v1/keys", "", "A JSON body is missing or cannot be read.")]
    public async Task A_member_is_named_with_its_choices(string path, string body, string detail)
    {
        var answer = await _admin.PostJsonAsync(path, body);

        answer.MustBeProblem(400, "invalid-request");
        Assert.Equal(detail, answer["detail"]);
    }
}
