using System.Formats.Asn1;
using System.Numerics;
using System.Security.Cryptography;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Tests.Keys;

public sealed class EcdsaEncodingTests
{
    /// <summary>A fixed seed: a failure shows the same signature again.</summary>
    private const int Seed = 20_260_101;

    public static TheoryData<string> EccSpecs => [.. KeySpec.All.Where(s => s.Family == KeyFamily.Ecc).Select(s => s.Name)];

    [Theory]
    [MemberData(nameof(EccSpecs))]
    public void A_hundred_thousand_signatures_come_back_from_DER_as_they_were(string specName)
    {
        var fieldLength = KeySpec.Parse(specName).FieldLength;
        var random = new SeededRandom(Seed);
        var p1363 = new byte[2 * fieldLength];
        for (var i = 0; i < 100_000; i++)
        {
            random.Fill(p1363);
            // Leading zeros in one half, the other or both: what r‖s and DER write differently.
            p1363.AsSpan(0, i % (fieldLength + 1) * (i & 1)).Clear();
            p1363.AsSpan(fieldLength, i / 2 % (fieldLength + 1) * ((i >> 1) & 1)).Clear();

            var der = EcdsaEncoding.ToDer(p1363);

            if (!EcdsaEncoding.TryFromDer(der, fieldLength, out var back) || !back.AsSpan().SequenceEqual(p1363))
                Assert.Fail($"#{i}: {Convert.ToHexString(p1363)} became {Convert.ToHexString(der)} and {Convert.ToHexString(back)}");
        }
    }

    [Theory]
    [InlineData("00", "00", "3006020100020100")]
    [InlineData("01", "7F", "300602010102017F")]
    [InlineData("80", "FF", "300802020080020200FF")]
    [InlineData("0001", "0100", "30070201010202 0100")]
    public void DER_has_the_shortest_positive_integers(string r, string s, string der) =>
        Assert.Equal(
            der.Replace(" ", "", StringComparison.Ordinal),
            Convert.ToHexString(EcdsaEncoding.ToDer(Convert.FromHexString(r + s))));

    [Theory]
    [MemberData(nameof(EccSpecs))]
    public void Both_encodings_verify_with_the_platforms_own_reading_of_them(string specName)
    {
        var spec = KeySpec.Parse(specName);
        using var key = ECDsa.Create(spec.Curve);
        var digest = new byte[spec.Algorithms[0].DigestLength];
        for (var i = 0; i < 200; i++)
        {
            RandomNumberGenerator.Fill(digest);
            var p1363 = key.SignHash(digest, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
            Assert.True(key.VerifyHash(digest, EcdsaEncoding.ToDer(p1363), DSASignatureFormat.Rfc3279DerSequence));

            var der = key.SignHash(digest, DSASignatureFormat.Rfc3279DerSequence);
            Assert.True(EcdsaEncoding.TryFromDer(der, spec.FieldLength, out var fromDer));
            Assert.True(key.VerifyHash(digest, fromDer, DSASignatureFormat.IeeeP1363FixedFieldConcatenation));
        }
    }

    [Theory]
    [InlineData("", "nothing")]
    [InlineData("30", "a tag alone")]
    [InlineData("3000", "no integer")]
    [InlineData("3003020101", "one integer")]
    [InlineData("3009020101020102020103", "three integers")]
    [InlineData("300602010102010200", "a byte after the sequence")]
    [InlineData("30070201010201020 0", "a byte after the integers")]
    [InlineData("3006020101020182", "a negative s")]
    [InlineData("3006020181020101", "a negative r")]
    [InlineData("30080202000102020002", "integers padded with zeros")]
    [InlineData("300702020001020102", "a padded r")]
    [InlineData("3005020002 0102", "an empty r")]
    [InlineData("3005020101 0200", "an empty s")]
    [InlineData("308106020101020102", "a length in long form")]
    [InlineData("30070281010102 0102", "an integer's length in long form")]
    [InlineData("30800201010201020000", "an indefinite length")]
    [InlineData("3106020101020102", "a set")]
    [InlineData("2006020101020102", "no tag of a sequence")]
    [InlineData("3006030101020102", "a bit string for r")]
    [InlineData("3006020101040102", "an octet string for s")]
    [InlineData("30060201010a0102", "an enumerated for s")]
    [InlineData("3005020101020102", "a length too small")]
    [InlineData("3007020101020102", "a length too large")]
    [InlineData("3006020101020202", "an integer beyond its sequence")]
    public void What_is_not_strict_DER_is_refused(string hex, string what) =>
        Assert.False(EcdsaEncoding.TryFromDer(Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal)), 32, out _), what);

    [Fact]
    public void An_integer_wider_than_the_field_is_refused()
    {
        var justFits = BigInteger.Pow(2, 256) - 1;
        Assert.True(EcdsaEncoding.TryFromDer(Sequence(justFits, 1), 32, out _));
        Assert.True(EcdsaEncoding.TryFromDer(Sequence(1, justFits), 32, out _));
        Assert.False(EcdsaEncoding.TryFromDer(Sequence(justFits + 1, 1), 32, out _));
        Assert.False(EcdsaEncoding.TryFromDer(Sequence(1, justFits + 1), 32, out _));
    }

    /// <summary>One encoding for each signature: whatever is accepted is what would be written, byte for byte.</summary>
    [Fact]
    public void Every_one_byte_change_is_refused_or_another_signature_in_its_only_encoding()
    {
        var p1363 = new byte[64];
        new SeededRandom(Seed).Fill(p1363);
        p1363[0] = 0;
        p1363[1] |= 0x80;
        var der = EcdsaEncoding.ToDer(p1363);
        for (var i = 0; i < der.Length; i++)
        {
            for (var delta = 1; delta < 256; delta++)
            {
                var changed = der.ToArray();
                changed[i] ^= (byte)delta;
                if (EcdsaEncoding.TryFromDer(changed, 32, out var read))
                    Assert.Equal(changed, EcdsaEncoding.ToDer(read));
            }

            Assert.False(EcdsaEncoding.TryFromDer(der.AsSpan(0, i), 32, out _), $"cut to {i} bytes");
        }
    }

    private static byte[] Sequence(params BigInteger[] integers)
    {
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            foreach (var integer in integers)
                writer.WriteInteger(integer);
        }

        return writer.Encode();
    }
}

/// <summary>SplitMix64: the same bytes in every run and on every runtime.</summary>
internal sealed class SeededRandom(ulong seed)
{
    private ulong _state = seed;

    public void Fill(Span<byte> bytes)
    {
        Span<byte> word = stackalloc byte[8];
        while (!bytes.IsEmpty)
        {
            System.Buffers.Binary.BinaryPrimitives.WriteUInt64LittleEndian(word, Next());
            var take = Math.Min(bytes.Length, word.Length);
            word[..take].CopyTo(bytes);
            bytes = bytes[take..];
        }
    }

    private ulong Next()
    {
        _state += 0x9E3779B97F4A7C15;
        var z = _state;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
