using System.Text.Json;
using SignSvc.Signing.Access.Policies;

namespace SignSvc.Signing.Tests.Access;

/// <summary>Policies in AWS's form, as they come back from the store.</summary>
public sealed class AwsPolicyTests : AccessScene
{
    [Theory]
    [InlineData("""{"DateGreaterThan":{"aws:CurrentTime":"2026-01-01T00:00:00Z","aws:EpochTime":"1767225600"}}""")]
    [InlineData("""{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"ipAddress":{"aws:SourceIp":"192.0.2.0/24"}}""")]
    [InlineData("""{"StringEquals":{"aws:ResourceTag/team":"a","AWS:ResourceTag/team":"b"}}""")]
    public async Task One_fact_under_two_of_AWS_s_names_is_refused_and_nothing_is_stored_that_no_node_could_read(string conditions)
    {
        var refusal = await RefusalOfAsync(() => Node.Policies.PutAsync(Admin, "aws", Read(conditions), force: false, Cancel));
        Assert.Equal(SigningFault.InvalidRequest, refusal?.Fault);
        Assert.Contains("Statement Twice", refusal!.Message, StringComparison.Ordinal);

        await PutAsync("after", """{"effect":"allow","principals":["credential:x"],"actions":["keys:Sign"],"resources":["*"]}""");
        Assert.True(Node.Live.Current.Policies.ContainsKey("after"));
    }

    [Fact]
    public void What_AWS_has_under_two_operators_is_two_conditions_and_is_read_again()
    {
        var document = Read("""{"DateGreaterThan":{"aws:CurrentTime":"2026-01-01T00:00:00Z"},"DateLessThan":{"aws:EpochTime":"4102444800"}}""");
        Assert.Equal(2, Assert.Single(document.Statements).Conditions.Length);
        var text = JsonSerializer.Serialize(document);
        Assert.Equal(text, JsonSerializer.Serialize(JsonSerializer.Deserialize<PolicyDocument>(text)));
    }

    private static PolicyDocument Read(string conditions) => JsonSerializer.Deserialize<PolicyDocument>($$"""
        {"Version":"2012-10-17","Statement":{"Sid":"Twice","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/ci"},
         "Action":"kms:Sign","Resource":"*","Condition":{{conditions}} } }
        """)!;
}
