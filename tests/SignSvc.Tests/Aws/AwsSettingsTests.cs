namespace SignSvc.Tests.Aws;

public sealed class AwsSettingsTests
{
    /// <summary>Nobody's address: nothing is asked there before it is needed.</summary>
    private static readonly Uri Nowhere = new("http://127.0.0.1:9");

    [Fact]
    public async Task Every_fault_of_every_account_is_named_at_once()
    {
        var data = Directory.CreateTempSubdirectory("signsvc-aws-");
        var settings = AwsService.Settings(Nowhere);
        settings["SignSvc__Backends__AwsKms__default__Region"] = "Frankfurt";
        settings["SignSvc__Backends__AwsKms__default__Regionn"] = "eu-central-1";
        settings["SignSvc__Backends__AwsKms__default__DeletionWindowDays"] = "3";
        settings["SignSvc__Backends__AwsKms__default__ConnectionLimit"] = "many";
        settings["SignSvc__Backends__AwsKms__second__QuotaPerSecond__RSSA"] = "5";
        settings["SignSvc__Backends__AwsKms__second__QuotaPerSecond__RSA"] = "fast";
        settings["SignSvc__Backends__AwsKms__second__ServiceUrl"] = "ftp://example.org";
        settings["SignSvc__Backends__AwsKms__Not A Name__Region"] = "eu-central-1";
        var ended = await ServiceProcess.RefuseToStartAsync(new ServiceOptions { Data = data.FullName, Environment = settings });
        Assert.Equal(1, ended.ExitCode);
        foreach (var words in new[]
        {
            "Backends:AwsKms:default: Region must", "AwsKms:default:Regionn is not a setting", "default: DeletionWindowDays must be 7 to 30",
            "default:ConnectionLimit cannot be 'many'", "second: QuotaPerSecond knows", "second:QuotaPerSecond:RSA cannot be 'fast'",
            "second: ServiceUrl and ServiceUrlByRegion must be http or https", "the name Not A Name must match",
        })
            Assert.Contains(words, ended.Error, StringComparison.Ordinal);
        data.Delete(recursive: true);
    }

    [Fact]
    public async Task A_start_asks_AWS_for_nothing_and_an_account_without_a_wrapping_key_wraps_nothing()
    {
        await using var service = await ServiceProcess.StartAsync(new ServiceOptions { Environment = AwsService.Settings(Nowhere) });
        Assert.Equal("ok", (await service.Client.MustGetAsync("/healthz/ready"))["status"]);
        (await service.Client.PostJsonAsync("/v1/keys", """{"name":"v","purpose":"tokens","backend":"aws-kms:second","spec":"ECC_NIST_P256"}"""))
            .MustBeProblem(422, "unsupported");
        (await service.Client.PostJsonAsync("/v1/keys", """{"name":"v","purpose":"artifacts","backend":"aws-kms:third","spec":"ECC_NIST_P256"}"""))
            .MustBeProblem(400, "invalid-request");
    }
}
