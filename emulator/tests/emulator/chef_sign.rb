# Sends one request to a Chef server, signed by Chef's own library (mixlib-authentication).
#   chef_sign.rb CA BASE-URL METHOD PATH USER PRIVATE-KEY.pem SIGN-VERSION API-VERSION
# The body comes on standard input. Prints the status, the headers as JSON, and the body, each on a
# line. SKEW moves the clock, in seconds; WITHOUT leaves a header out; TAMPER signs another body.
require "json"
require "net/http"
require "openssl"
require "time"
require "mixlib/authentication/signedheaderauth"

ca, base, method, path, user, key, sign_version, api_version = ARGV
body = $stdin.read
api = { "x-ops-server-api-version" => api_version }
signer = Mixlib::Authentication::SignedHeaderAuth.signing_object(
  http_method: method, path: path.split("?").first, body: ENV["TAMPER"] || body, user_id: user,
  host: URI(base).host, timestamp: (Time.now + ENV["SKEW"].to_i).utc.iso8601,
  proto_version: sign_version, headers: api
)
algorithm = sign_version == "1.3" ? "sha256" : "sha1"
headers = signer.sign(OpenSSL::PKey::RSA.new(File.read(key)), algorithm, sign_version)
headers = headers.transform_keys(&:to_s).merge("X-Ops-Server-API-Version" => api_version)
headers = headers.merge("Accept" => "application/json", "Content-Type" => "application/json")
headers.delete_if { |name, _| name.casecmp?(ENV["WITHOUT"].to_s) }
uri = URI(base + path)
request = Net::HTTP.const_get(method.capitalize).new(uri, headers)
request.body = body unless body.empty?
http = Net::HTTP.new(uri.host, uri.port, nil)
http.use_ssl = true
http.ca_file = ca
response = http.start { http.request(request) }
puts response.code, JSON.generate(response.each_header.to_h), response.body.to_s
