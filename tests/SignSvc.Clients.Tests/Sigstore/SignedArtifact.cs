using SignSvc.Clients.Tests.Running;

namespace SignSvc.Clients.Tests.Sigstore;

/// <summary>Something that cosign signs, and beside it the same thing tampered with, under the same signature.</summary>
internal abstract class SignedArtifact
{
    protected static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <param name="name"><c>blob</c>, <c>image</c> or <c>attestation</c>.</param>
    public static async Task<SignedArtifact> NewAsync(string name, CosignCase run, ImageRegistry registry) => name switch
    {
        "blob" => new SignedBlob(run, await run.BlobAsync("app.tar.gz", 3_000_000)),
        "image" => new SignedImage(run, registry, await registry.PushAsync("team/app", Cancellation)),
        _ => new AttestedImage(run, registry, await registry.PushAsync("team/app", Cancellation)),
    };

    /// <summary>What the service is told the artifact is, where cosign shows it to the plugin: its digest.</summary>
    public virtual string? Digest => null;

    /// <param name="by">The run whose caller asks: one who may, or one who may not.</param>
    public abstract Task<Ended> SignAsync(CosignCase by);

    public abstract Task<IReadOnlyList<Ended>> VerifyAsync();

    public abstract Task<Ended> VerifyTamperedAsync();

    /// <summary>The bundles that cosign left; cosign 2 leaves none in a registry.</summary>
    /// <returns>Each in a file, and the file that it is of; null: it holds a statement.</returns>
    public abstract Task<IReadOnlyList<(string Bundle, string? Of)>> BundlesAsync();

    private sealed class SignedBlob(CosignCase run, string file) : SignedArtifact
    {
        public override Task<Ended> SignAsync(CosignCase by) => by.SignBlobAsync(file);

        /// <summary>With the exported key and, as whoever has the service does, with the service's; cosign 2 by its bundle, too.</summary>
        public override async Task<IReadOnlyList<Ended>> VerifyAsync() =>
        [
            await run.VerifyBlobAsync(file, proofOf: file),
            await run.VerifyBlobAsync(file, proofOf: file, key: run.KeyReference),
            .. run.IsOld ? new[] { await run.VerifyBundleAsync(file, $"{file}.bundle") } : [],
        ];

        public override async Task<Ended> VerifyTamperedAsync()
        {
            var content = await File.ReadAllBytesAsync(file, Cancellation);
            content[^1] ^= 1;
            await File.WriteAllBytesAsync($"{file}.tampered", content, Cancellation);
            return await run.VerifyBlobAsync($"{file}.tampered", proofOf: file);
        }

        public override Task<IReadOnlyList<(string Bundle, string? Of)>> BundlesAsync() =>
            Task.FromResult<IReadOnlyList<(string, string?)>>([($"{file}.bundle", file)]);
    }

    private class SignedImage(CosignCase run, ImageRegistry registry, string image) : SignedArtifact
    {
        public override string Digest => image[(image.IndexOf('@', StringComparison.Ordinal) + 1)..];

        public override Task<Ended> SignAsync(CosignCase by) => by.SignImageAsync(image);

        public override async Task<IReadOnlyList<Ended>> VerifyAsync() => [await VerifyAsync(image)];

        /// <summary>Another image, to which the signature of this one is given.</summary>
        public override async Task<Ended> VerifyTamperedAsync()
        {
            var tampered = await registry.PushAsync("team/app", Cancellation);
            await registry.CopySignaturesAsync(image, tampered, Cancellation);
            return await VerifyAsync(tampered);
        }

        public override async Task<IReadOnlyList<(string Bundle, string? Of)>> BundlesAsync()
        {
            var bundles = await registry.BundlesOfAsync(image, Cancellation);
            Assert.Equal(run.IsOld ? 0 : 1, bundles.Count);
            var files = new List<(string, string?)>();
            foreach (var bundle in bundles)
                files.Add((await run.WriteAsync("image.bundle", bundle), null));
            return files;
        }

        protected virtual Task<Ended> VerifyAsync(string reference) => run.VerifyImageAsync(reference);
    }

    private sealed class AttestedImage(CosignCase run, ImageRegistry registry, string image) : SignedImage(run, registry, image)
    {
        private readonly CosignCase _run = run;
        private readonly string _image = image;

        public override async Task<Ended> SignAsync(CosignCase by) =>
            await by.AttestImageAsync(_image, await by.WriteAsync("predicate.json", """{"tests":"passed"}"""));

        public override async Task<IReadOnlyList<Ended>> VerifyAsync()
        {
            var another = await _run.VerifyImageAttestationAsync(_image, "slsaprovenance1");
            Assert.False(another.Succeeded, $"{another}");
            return await base.VerifyAsync();
        }

        protected override Task<Ended> VerifyAsync(string reference) => _run.VerifyImageAttestationAsync(reference);
    }
}
