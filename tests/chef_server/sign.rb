# Prints the headers with which Chef's own library signs a call, one a line: a vector for another signer.
#   sign.rb METHOD PATH USER TIME API-VERSION PRIVATE-KEY.pem    (the body on standard input)
require "openssl"
require "mixlib/authentication/signedheaderauth"
method, path, user, time, version, key = ARGV
signer = Mixlib::Authentication::SignedHeaderAuth.signing_object(
  http_method: method, path: path, body: $stdin.read, user_id: user, timestamp: time, host: "chef.example",
  proto_version: "1.3", headers: { "x-ops-server-api-version" => version }
)
headers = signer.sign(OpenSSL::PKey::RSA.new(File.read(key)), "sha256", "1.3")
headers.transform_keys { |name| name.to_s.downcase }.sort.each { |name, value| puts "#{name}: #{value}" }
