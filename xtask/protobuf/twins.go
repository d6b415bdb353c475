package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"reflect"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	serializerjson "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

// How likely an optional thing is there in the random object of a kind that the file has none of.
const twinDensity = 0.3

// A twin as the file has it: "METHOD PATH", and the object in a client's words.
type twin struct {
	Request string          `json:"request"`
	Object  json.RawMessage `json:"object"`
}

// twins prints requests whose body can be sent as protobuf and as JSON, both as the Kubernetes Go types write them: one line of
// "METHOD PATH", base64 protobuf and JSON, with tabs between them. First the file's, then a random object of every other kind.
func twins(out *bufio.Writer, path string) {
	text, err := os.ReadFile(path)
	must(err)
	var written []twin
	must(yaml.UnmarshalStrict(text, &written))
	strict := serializerjson.NewSerializerWithOptions(serializerjson.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, serializerjson.SerializerOptions{Strict: true})
	known := map[schema.GroupVersionKind]bool{}
	for _, twin := range written {
		object, kind, err := strict.Decode(twin.Object, nil, nil)
		if err != nil {
			panic(fmt.Sprintf("%s: %v", twin.Request, err))
		}
		known[*kind] = true
		printTwin(out, twin.Request, object, *kind)
	}
	for _, kind := range kinds() {
		if known[kind] || !isWritten(kind) {
			continue
		}
		object, err := scheme.Scheme.New(kind)
		must(err)
		random := rand.New(rand.NewSource(int64(len(kind.String()))))
		filler{random, twinDensity}.fill(reflect.ValueOf(object).Elem(), 0)
		resource, _ := meta.UnsafeGuessKindToResource(kind)
		root := "/apis/" + kind.GroupVersion().String()
		if kind.Group == "" {
			root = "/api/" + kind.Version
		}
		printTwin(out, fmt.Sprintf("POST %s/namespaces/oracle/%s", root, resource.Resource), object, kind)
	}
}

// isWritten tells whether there are objects of a kind that a client may send: no lists, options and events of a watch.
func isWritten(kind schema.GroupVersionKind) bool {
	object, err := scheme.Scheme.New(kind)
	must(err)
	_, err = meta.Accessor(object)
	return err == nil && !meta.IsListType(object) && !strings.HasSuffix(kind.Kind, "Options")
}

func printTwin(out *bufio.Writer, request string, object runtime.Object, kind schema.GroupVersionKind) {
	toProtobuf := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)
	toJSON := serializerjson.NewSerializerWithOptions(serializerjson.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, serializerjson.SerializerOptions{})
	object.GetObjectKind().SetGroupVersionKind(kind)
	var wire, text bytes.Buffer
	must(toProtobuf.Encode(object, &wire))
	must(toJSON.Encode(object, &text))
	fmt.Fprintf(out, "%s\t%s\t%s\n", request, base64.StdEncoding.EncodeToString(wire.Bytes()), bytes.TrimSpace(text.Bytes()))
}
