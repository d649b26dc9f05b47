#!/usr/bin/env ruby
# frozen_string_literal: true

# What Ruby makes of what enlist writes, and what Chef's own library makes of its key.
#
#   judge.rb client-rb FILE                     the settings in it, as a JSON list of name and values
#   judge.rb instance-agent FILE                its members as JSON, once its key was loaded
#   judge.rb signature PRIVATE PUBLIC [CHANGE]  signs a request and verifies it, protocol 1.3; exit 1
#                                               where that fails. CHANGE: body, path or user, which
#                                               another one has by then
#
# Packages: ruby, ruby-mixlib-authentication.
require "openssl" # before mixlib, which takes the class Digest for granted
require "json"

# As chef-client does it: every line is a call on an object. Whatever is called, Kernel's own
# methods too, is noted down and nothing else.
class Sandbox < BasicObject
  def initialize = @calls = []
  def method_missing(name, *arguments)
    @calls << [name, *arguments]
    self
  end
  def respond_to_missing?(*) = true
  def `(command) = method_missing(:`, command)
  def __calls = @calls
end

def client_rb(path)
  sandbox = Sandbox.new
  sandbox.instance_eval(File.read(path, encoding: "UTF-8"), path)
  puts JSON.generate(sandbox.__calls)
end

def instance_agent(path)
  require "yaml"
  members = YAML.safe_load(File.read(path), permitted_classes: [Symbol])
  key = OpenSSL::PKey::RSA.new(members.fetch(:instance_private_key))
  public_key = OpenSSL::PKey::RSA.new(members.fetch(:instance_public_key))
  abort "the private key is none" unless key.private?
  abort "the two keys are not a pair" unless key.n == public_key.n && key.e == public_key.e
  puts JSON.generate(members.transform_keys { |name| name.inspect })
end

# What the library asks of a request that came in.
Request = Struct.new(:env, :method, :path, :raw_post, :params)

def signature(private_path, public_path, change = nil)
  require "time"
  require "mixlib/authentication/signedheaderauth"
  require "mixlib/authentication/signatureverification"
  sent = { path: "/organizations/default/nodes/web", user: "web", body: '{"run_list":[]}' }
  signer = Mixlib::Authentication::SignedHeaderAuth.signing_object(
    http_method: "PUT", path: sent[:path], body: sent[:body], user_id: sent[:user],
    timestamp: Time.now.utc.iso8601, proto_version: "1.3",
    headers: { "x-ops-server-api-version" => "1" }
  )
  headers = signer.sign(OpenSSL::PKey::RSA.new(File.read(private_path)))
                  .merge("Host" => "chef-test.example", "X-Ops-Server-API-Version" => "1")
  sent[change.to_sym] += "x" if change
  headers = headers.merge("X-Ops-Userid" => sent[:user])
  env = headers.to_h { |name, value| ["HTTP_#{name.upcase.tr("-", "_")}", value] }
  received = Request.new(env, "PUT", sent[:path], sent[:body], {})
  key = OpenSSL::PKey::RSA.new(File.read(public_path))
  verified = Mixlib::Authentication::SignatureVerification.new(received).authenticate_request(key)
  abort "the signature does not verify" unless verified
  puts "#{env["HTTP_X_OPS_SIGN"]} verified for #{verified.name}"
end

case ARGV.shift
when "client-rb" then client_rb(*ARGV)
when "instance-agent" then instance_agent(*ARGV)
when "signature" then signature(*ARGV)
else abort "usage: #{$PROGRAM_NAME} client-rb|instance-agent|signature ..."
end
