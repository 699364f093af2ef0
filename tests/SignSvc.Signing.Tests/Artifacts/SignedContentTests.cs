using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using SignSvc.Signing.Artifacts;

namespace SignSvc.Signing.Tests.Artifacts;

public sealed class SignedContentTests
{
    private static readonly string Hex = new('a', 64);

    private static readonly JsonElement Predicate = JsonElement.Parse("""{"Data":"ü+/"}""");

    /// <summary>The example of the DSSE specification (protocol.md).</summary>
    [Fact]
    public void The_encoding_is_that_of_the_specification() =>
        Assert.Equal(
            "DSSEv1 29 http://example.com/HelloWorld 11 hello world",
            Encoding.UTF8.GetString(Dsse.Encode("http://example.com/HelloWorld", "hello world"u8)));

    [Theory]
    [InlineData("DSSEv1 29 http://example.com/HelloWorld 11 hello world", true)]
    [InlineData("DSSEv1 29 http://example.com/HelloWorld 12 hello world", false)]
    [InlineData("DSSEv1 29 http://example.com/HelloWorld 10 hello world", false)]
    [InlineData("DSSEv1 28 http://example.com/HelloWorld 11 hello world", false)]
    [InlineData("DSSEv1 -1 http://example.com/HelloWorld 11 hello world", false)]
    [InlineData("DSSEv1 99999999999 x 1 a", false)]
    [InlineData("DSSEv1 1 x", false)]
    [InlineData("DSSEv1 ", false)]
    [InlineData("DSSEv2 1 x 1 a", false)]
    public void An_encoding_is_taken_apart_to_the_last_byte(string text, bool isOne) =>
        Assert.Equal(isOne, Dsse.TryDecode(Encoding.UTF8.GetBytes(text), out _, out _));

    [Fact]
    public void A_statement_s_own_words_become_the_context()
    {
        var statement = InTotoStatement.Create([Named("app")], PredicateTypes.Custom, Predicate);
        var told = statement.ContextFor(new SigningContext { Repository = "acme/app" });
        var read = SignedContent.ContextOf(Dsse.Encode(Dsse.InTotoType, statement.ToPayload()));

        Assert.Equal(new ArtifactFacts("attestation", "app", Digest: $"sha256:{Hex}"), told.Artifact);
        Assert.Equal("acme/app", told.Repository);
        Assert.Equal(told.Artifact, read.Artifact);
        Assert.Equal(told.PredicateType, read.PredicateType);
        Assert.Equal<ArtifactFacts>(told.Subjects!.Value, read.Subjects!.Value);
    }

    /// <summary>A condition on a name must not be met by the first of several.</summary>
    [Fact]
    public void Of_several_subjects_none_is_the_artifact()
    {
        var context = InTotoStatement.Create([Named("app"), Named("evil")], PredicateTypes.Custom, Predicate).ContextFor(caller: null);

        Assert.Equal(new ArtifactFacts("attestation"), context.Artifact);
        Assert.Equal("app evil", string.Join(' ', context.Subjects!.Value.Select(s => s.Name)));
    }

    [Fact]
    public void What_the_caller_says_of_the_artifact_beside_a_statement_is_refused()
    {
        var statement = InTotoStatement.Create([Named("app")], PredicateTypes.Custom, Predicate);

        AssertFault(SigningFault.InvalidRequest, () => statement.ContextFor(new SigningContext { Artifact = new ArtifactFacts(Name: "other") }));
        AssertFault(SigningFault.InvalidRequest, () => statement.ContextFor(new SigningContext { PredicateType = "https://example.com" }));
    }

    [Fact]
    public void A_container_s_digest_is_read_from_both_payloads_of_cosign()
    {
        var simple = SignedContent.ContextOf(Encoding.UTF8.GetBytes(
            $$$"""{"critical":{"identity":{"docker-reference":"registry.example/app"},"image":{"docker-manifest-digest":"sha256:{{{Hex}}}"},"type":"cosign container image signature"},"optional":null}"""));
        var bundle = SignedContent.ContextOf(Dsse.Encode(Dsse.InTotoType, Encoding.UTF8.GetBytes(
            $$$"""{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"{{{Hex}}}"},"annotations":{}}],"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{}}""")));

        Assert.Equal(new ArtifactFacts("container", "registry.example/app", Digest: $"sha256:{Hex}"), simple.Artifact);
        Assert.Equal(new ArtifactFacts("container", Digest: $"sha256:{Hex}"), bundle.Artifact);
    }

    [Theory]
    [InlineData("")]
    [InlineData("hello")]
    [InlineData("{")]
    [InlineData("""{"critical":1}""")]
    [InlineData("""{"critical":{"identity":{},"image":{}}}""")]
    public void Anything_else_is_a_blob(string content) =>
        Assert.Equal(new ArtifactFacts("blob"), SignedContent.ContextOf(Encoding.UTF8.GetBytes(content)).Artifact);

    [Theory]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("""{"subject":{}}""")]
    [InlineData("""{"subject":[1]}""")]
    [InlineData("""{"subject":[],"subject":[]}""")]
    [InlineData("no JSON")]
    public void What_says_that_it_is_a_statement_and_is_none_is_refused(string payload) =>
        AssertFault(SigningFault.InvalidRequest, () => SignedContent.ContextOf(Dsse.Encode(Dsse.InTotoType, Encoding.UTF8.GetBytes(payload))));

    [Fact]
    public void Subjects_and_their_texts_are_bounded()
    {
        var many = Enumerable.Range(0, InTotoStatement.MaxSubjects + 1).Select(i => Named($"a{i}")).ToImmutableArray();

        AssertFault(SigningFault.InvalidRequest, () => InTotoStatement.Create(many, PredicateTypes.Custom, Predicate));
        AssertFault(SigningFault.InvalidRequest, () => InTotoStatement.Create([Named(new string('x', 1025))], PredicateTypes.Custom, Predicate));
        Assert.NotNull(new SigningContext { Subjects = many.Select(s => new ArtifactFacts(Name: s.Name)).ToImmutableArray() }.Fault);
        Assert.NotNull(new SigningContext { Subjects = [new ArtifactFacts(Name: "a\nb")] }.Fault);
        Assert.Null(InTotoStatement.Create(many[1..], PredicateTypes.Custom, Predicate).ContextFor(caller: null).Fault);
    }

    private static Subject Named(string name) => new(name, new Dictionary<string, string>(StringComparer.Ordinal) { ["sha256"] = Hex });

    private static void AssertFault(SigningFault fault, Func<object?> act) => Assert.Equal(fault, Assert.Throws<SigningException>(act).Fault);
}
