using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace SignSvc.Backends.Pkcs11.Cryptoki;

/// <summary>A CK_ATTRIBUTE array in native memory. Values are zeroed when it is disposed: some are keys.</summary>
internal sealed unsafe class Template : IDisposable
{
    private const int Capacity = 24;
    private CK_ATTRIBUTE* _attributes = (CK_ATTRIBUTE*)NativeMemory.AllocZeroed(Capacity, (nuint)sizeof(CK_ATTRIBUTE));

    public CK_ATTRIBUTE* Attributes => _attributes;

    public nuint Count { get; private set; }

    public Template With(CK_ATTRIBUTE_TYPE type, bool value) => With(type, [value ? (byte)1 : (byte)0]);

    public Template With(CK_ATTRIBUTE_TYPE type, nuint value) => With(type, MemoryMarshal.AsBytes(new ReadOnlySpan<nuint>(in value)));

    public Template With(CK_ATTRIBUTE_TYPE type, string value) => With(type, System.Text.Encoding.UTF8.GetBytes(value));

    public Template With(CK_ATTRIBUTE_TYPE type, ReadOnlySpan<byte> value)
    {
        ObjectDisposedException.ThrowIf(_attributes is null, this);
        if (Count == Capacity)
            throw new InvalidOperationException($"A template has at most {Capacity} attributes.");
        var copy = NativeMemory.Alloc((nuint)Math.Max(value.Length, 1));
        value.CopyTo(new Span<byte>(copy, value.Length));
        _attributes[Count++] = new CK_ATTRIBUTE { type = type, pValue = copy, ulValueLen = (nuint)value.Length };
        return this;
    }

    public void Dispose()
    {
        if (_attributes is null)
            return;
        for (nuint i = 0; i < Count; i++)
        {
            CryptographicOperations.ZeroMemory(new Span<byte>(_attributes[i].pValue, (int)_attributes[i].ulValueLen));
            NativeMemory.Free(_attributes[i].pValue);
        }

        NativeMemory.Free(_attributes);
        _attributes = null;
    }
}
