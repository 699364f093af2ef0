using System.Security.Cryptography;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Tests.Keys.Import;

public sealed class ImportedKeyScheduleTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    [Fact]
    public void A_key_of_imported_material_gets_an_alarm_where_another_gets_a_successor()
    {
        var end = Now.AddDays(30);
        Assert.Contains(KeySchedule.Due(KeyOf(KeyOrigin.Generated), _ => null, end), s => s is DueStep.Announce);

        var due = KeySchedule.Due(KeyOf(KeyOrigin.Imported), _ => null, end);
        Assert.DoesNotContain(due, s => s is DueStep.Announce);
        Assert.Contains(due, s => s is DueStep.Alarm { Message: "its successor has to be imported" });
    }

    [Fact]
    public void A_standby_that_was_not_imported_is_an_alarm_at_all_times()
    {
        var key = KeyOf(KeyOrigin.Imported);
        var due = KeySchedule.Due(key with { Rotation = key.Rotation! with { Standby = true } }, _ => null, Now);
        Assert.Equal([new DueStep.Alarm("its successor has to be imported")], due);
    }

    [Fact]
    public void Nothing_is_due_before_the_first_import() =>
        Assert.Empty(KeySchedule.Due(KeyOf(KeyOrigin.Imported) with { Versions = [] }, _ => null, Now.AddYears(10)));

    private static Key KeyOf(KeyOrigin origin)
    {
        using var pair = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return new Key
        {
            Id = "a",
            Name = "a",
            Purpose = KeyPurpose.Tokens,
            Tier = KeyTier.Assured,
            Backend = "software",
            Spec = KeySpec.P256,
            Algorithms = [SigningAlgorithm.ES256],
            State = KeyState.Enabled,
            CreatedAt = Now,
            Origin = origin,
            Rotation = RotationPolicy.Parse(KeyPurpose.Tokens, 30 * 86_400, leadSeconds: null, graceSeconds: null),
            Versions =
            [
                new KeyVersion
                {
                    KeyId = "a",
                    Number = 1,
                    PublicKey = PublicKey.FromSpki(pair.ExportSubjectPublicKeyInfo()),
                    Protection = Protection.Software,
                    State = VersionState.Active,
                    CreatedAt = Now,
                    SignsFrom = Now,
                    RetiresAt = Now.AddDays(30),
                    SignsUntil = Now.AddDays(31),
                },
            ],
        };
    }
}
