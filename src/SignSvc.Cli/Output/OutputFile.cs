namespace SignSvc.Cli.Output;

/// <summary>
/// A file for an answer, opened before the question is asked: a path that cannot be written costs no signature and no
/// credential. Where nothing was written, a file that was made for it goes away again.
/// </summary>
internal sealed class OutputFile : IDisposable
{
    private readonly FileStream _file;
    private readonly bool _isNew;
    private bool _isWritten;

    private OutputFile(FileStream file, bool isNew)
    {
        _file = file;
        _isNew = isNew;
    }

    /// <summary>Replaces what the file held.</summary>
    public static OutputFile Open(string path)
    {
        var isNew = !File.Exists(path);
        return Try(path, () => new OutputFile(new FileStream(path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.None), isNew));
    }

    /// <summary>A new file, mode 0600 from its first moment.</summary>
    public static OutputFile OpenSecret(string path) => Try(path, () => new OutputFile(
        new FileStream(path, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            Share = FileShare.None,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        }),
        isNew: true));

    public async Task WriteAsync(ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        await _file.WriteAsync(content, cancellationToken);
        if (_file.CanSeek && _file.Length > content.Length)
            _file.SetLength(content.Length);
        await _file.FlushAsync(cancellationToken);
        _isWritten = true;
    }

    /// <returns>How many bytes there were.</returns>
    public async Task<long> CopyFromAsync(Stream source, CancellationToken cancellationToken)
    {
        await source.CopyToAsync(_file, cancellationToken);
        await _file.FlushAsync(cancellationToken);
        _isWritten = true;
        return _file.Position;
    }

    public void Dispose()
    {
        _file.Dispose();
        if (_isNew && !_isWritten)
            File.Delete(_file.Name);
    }

    private static OutputFile Try(string path, Func<OutputFile> open)
    {
        try
        {
            return open();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw CommandException.Usage($"{path} cannot be written: {e.Message}", inner: e);
        }
    }
}
