using System.Diagnostics;
using System.Reflection;
using System.Text.Json;

namespace SignSvc.Backends.AwsKms.Tests.Moto;

/// <summary>The CloudFormation template, made into a stack by moto.</summary>
public sealed class TemplateTests(MotoServer moto)
{
    private static readonly (string Name, string Value)[] Everybody =
    [
        ("ServicePrincipalArn", "arn:aws:iam::111122223333:role/node"),
        ("OidcProviderArn", "arn:aws:iam::111122223333:oidc-provider/oidc.example/id/1"),
        ("OidcIssuer", "oidc.example/id/1"),
        ("AdministratorArn", "arn:aws:iam::111122223333:user/admin"),
        ("SecondAccountId", "444455556666"),
    ];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_template_creates_its_stack_with_every_role_that_is_asked_for()
    {
        var created = await CreateAsync("everybody", Everybody);
        Assert.Equal(
            [
                "AdministratorsRole", "ClusterRole", "ImagesAlias", "ImagesKey", "ReleaseAlias", "ReleaseKey", "SecondAccountRole", "ServicePolicy",
                "ServiceRole", "WrappingAlias", "WrappingKey",
            ],
            created);

        // moto's stacks make every key a symmetric one, whatever its KeySpec: the wrapping key alone can be used.
        var outputs = (await AwsAsync("cloudformation", "describe-stacks", "--stack-name", "everybody")).GetProperty("Stacks")[0].GetProperty("Outputs")
            .EnumerateArray().ToDictionary(o => o.GetProperty("OutputKey").GetString()!, o => o.GetProperty("OutputValue").GetString()!, StringComparer.Ordinal);
        using var backend = await moto.OpenAsync(o => o.WrappingKey = outputs["WrappingKeyArn"]);
        var context = new Signing.Backends.WrappingContext("key", 1, Signing.Keys.KeyPurpose.Tokens);
        Assert.Equal(new byte[32], await backend.UnwrapAsync(await backend.WrapAsync(new byte[32], context, Cancel), context, Cancel));
    }

    [Fact]
    public async Task Without_parameters_it_makes_keys_and_the_policy_and_lets_nobody_in() => Assert.Equal(
        ["ImagesAlias", "ImagesKey", "ReleaseAlias", "ReleaseKey", "ServicePolicy", "WrappingAlias", "WrappingKey"],
        await CreateAsync("nobody", ("Installation", "staging")));

    private async Task<string[]> CreateAsync(string stack, params (string Name, string Value)[] parameters)
    {
        var template = Path.Combine(
            typeof(TemplateTests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().First(a => a.Key is "DeployFolder").Value!, "signsvc.yaml");
        await AwsAsync(
        [
            "cloudformation", "create-stack", "--stack-name", stack, "--template-body", $"file://{template}", "--capabilities", "CAPABILITY_IAM", "--parameters",
            .. parameters.Select(p => $"ParameterKey={p.Name},ParameterValue={p.Value}"),
        ]);
        Assert.Equal("CREATE_COMPLETE", (await AwsAsync("cloudformation", "describe-stacks", "--stack-name", stack)).GetProperty("Stacks")[0].GetProperty("StackStatus").GetString());
        var resources = (await AwsAsync("cloudformation", "list-stack-resources", "--stack-name", stack)).GetProperty("StackResourceSummaries").EnumerateArray().ToArray();
        Assert.All(resources, r => Assert.Equal("CREATE_COMPLETE", r.GetProperty("ResourceStatus").GetString()));
        // What a condition left out is there without a name.
        return [.. resources.Select(r => r.GetProperty("LogicalResourceId").GetString()!).Where(id => id.Length > 0).Order(StringComparer.Ordinal)];
    }

    private async Task<JsonElement> AwsAsync(params string[] arguments)
    {
        const string Program = "/usr/bin/aws";
        if (!File.Exists(Program))
            throw new FileNotFoundException($"{Program} is missing: apt-get install awscli");
        using var aws = Process.Start(new ProcessStartInfo(Program, ["--endpoint-url", (await moto.UriAsync()).ToString(), "--output", "json", .. arguments])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["AWS_ACCESS_KEY_ID"] = "any", ["AWS_SECRET_ACCESS_KEY"] = "any", ["AWS_REGION"] = MotoServer.Region, ["AWS_DEFAULT_REGION"] = MotoServer.Region },
        })!;
        var errors = aws.StandardError.ReadToEndAsync(Cancel);
        var output = await aws.StandardOutput.ReadToEndAsync(Cancel);
        await aws.WaitForExitAsync(Cancel);
        Assert.True(aws.ExitCode == 0, await errors);
        return JsonDocument.Parse(output).RootElement;
    }
}
